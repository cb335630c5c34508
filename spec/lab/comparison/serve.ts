import { heldMemory } from '../../support/memory';
import type { Client, Open } from './adapter';
import { monotonic } from './clock';
import type { Assignment, Command, Entry, Question, Report } from './protocol';

/** ms between two reports: rare enough to cost nothing, frequent enough to lose little in a crash. */
const REPORT_EVERY = 10;
/** The largest number of messages at once: a stall is not followed by a burst. */
const BURST = 20;

/** The program of a client process: a producer at a steady rate and a consumer, which follow commands. */
export function serve(open: Open): void {
  const [assignment] = process.argv.slice(2);
  if (assignment === undefined || process.send === undefined) {
    throw new Error('Expected to be started by `npm run faults`, with an assignment and a channel to report on');
  }
  const service = new Service(JSON.parse(assignment) as Assignment);
  // Not caught: a client that cannot open counts as crashed.
  void service.open(open);
}

class Service {
  readonly #assignment: Assignment;
  readonly #padding: string;
  #entries: Entry[] = [];
  #client: Client | undefined;
  #producing: NodeJS.Timeout | undefined;
  #next = 0;
  #unsettled = 0;
  #dawdling = 0;

  constructor(assignment: Assignment) {
    this.#assignment = assignment;
    this.#padding = 'x'.repeat(assignment.padding);
  }

  async open(open: Open): Promise<void> {
    process.on('message', ({ id, command }: Question) => {
      this.#obey(command).then(
        (value) => this.#answer({ answer: id, value }),
        (error: unknown) => this.#answer({ answer: id, value: 0, error: String(error) }),
      );
    });
    process.on('warning', ({ name, message }) => this.#entries.push(['warning', `${name}: ${message}`]));
    // The run has ended or crashed.
    process.on('disconnect', () => process.exit());
    setInterval(() => this.#report(), REPORT_EVERY);
    const { url, queue, names, heartbeat, prefetch } = this.#assignment;
    this.#client = await open({ url, queue, names, heartbeat, prefetch, received: (n, id) => this.#received(n, id) });
    tell({ opened: true });
  }

  #report(): void {
    if (this.#entries.length === 0) return;
    tell({ entries: this.#entries });
    this.#entries = [];
  }

  /** Reports everything before an answer: nothing new follows a `stop`. */
  #answer(answer: Extract<Report, { readonly answer: number }>): void {
    this.#report();
    tell(answer);
  }

  async #obey(command: Command): Promise<number> {
    switch (command.do) {
      case 'start':
        this.#start();
        break;
      case 'stop':
        clearInterval(this.#producing);
        break;
      case 'poison':
        return this.#poison(command.exchange);
      case 'dawdle':
        this.#dawdling = command.ms;
        break;
      case 'block':
        standStill(command.ms);
        break;
      case 'weigh':
        return heldMemory();
    }
    return monotonic();
  }

  #start(): void {
    const { every, window } = this.#assignment;
    let due = monotonic();
    this.#producing = setInterval(() => {
      const now = monotonic();
      due = Math.max(due, now - BURST * every);
      for (; due <= now; due += every) {
        if (this.#unsettled < window) this.#send();
      }
    }, every);
  }

  #send(): void {
    const n = this.#next++;
    this.#entries.push(['sent', n, monotonic()]);
    this.#unsettled++;
    this.#attempt({ n, padding: this.#padding }).then(
      () => {
        this.#unsettled--;
        this.#entries.push(['confirmed', n, monotonic()]);
      },
      (error: unknown) => {
        this.#unsettled--;
        this.#entries.push(['failed', n, monotonic(), String(error)]);
      },
    );
  }

  /** A synchronous exception of a client counts as a rejection. */
  async #attempt(message: { readonly n: number; readonly padding: string }): Promise<void> {
    await this.#client?.send(message);
  }

  async #received(n: number, messageId: string | undefined): Promise<void> {
    this.#entries.push(['received', n, monotonic(), messageId]);
    if (this.#dawdling > 0) await new Promise((resolve) => setTimeout(resolve, this.#dawdling));
  }

  async #poison(exchange: string): Promise<number> {
    const fire = await this.#client?.aim(exchange);
    const at = monotonic();
    // The culprit has to fail. How and when is not measured.
    fire?.().catch(() => undefined);
    return at;
  }
}

function standStill(ms: number): void {
  const end = monotonic() + ms;
  while (monotonic() < end);
}

function tell(report: Report): void {
  process.send?.(report);
}
