import type { Socket } from 'node:net';

/** What happens to the bytes of one direction. It may change at any time; whatever changes it calls `pump` on its lanes. */
export interface Course {
  /** Kept, and passed on in order when released. */
  held: boolean;
  /** Read and dropped; so is the end of the stream. */
  swallowed: boolean;
  /** Not read, so that the sender's window fills up and it has to wait. */
  unread: boolean;
  /** ms by which a chunk is delayed. */
  delay: number;
  /** The share of the chunks that is delayed, 0 to 1; the others wait behind them. */
  share: number;
}

export const clearCourse = (): Course => ({ held: false, swallowed: false, unread: false, delay: 0, share: 1 });

/** A chunk that waits; `due` by `performance.now()`. */
interface Parcel {
  readonly chunk: Buffer;
  readonly due: number;
}

/** Passes the bytes of one socket to another, in order, on a course. Without another socket, it drops them. */
export class FaultLane {
  readonly #from: Socket;
  readonly #to: Socket | undefined;
  readonly #course: Course;
  #parcels: Parcel[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #full = false;

  constructor(from: Socket, to: Socket | undefined, course: Course, tap: (chunk: Buffer) => void) {
    this.#from = from;
    this.#to = to;
    this.#course = course;
    from.on('data', (chunk: Buffer) => {
      tap(chunk);
      if (course.swallowed || to === undefined) return;
      const delay = Math.random() < course.share ? course.delay : 0;
      this.#parcels.push({ chunk, due: performance.now() + delay });
      this.pump();
    });
    const ended = (): void => {
      this.#ended = true;
      this.pump();
    };
    from.on('end', ended).on('close', ended);
    to?.on('drain', () => {
      this.#full = false;
      this.pump();
    });
    this.pump();
  }

  /** Passes on what may pass now. */
  pump(): void {
    clearTimeout(this.#timer);
    const { held, swallowed, unread } = this.#course;
    if (!held && !swallowed) this.#forward();
    if (unread || this.#full) this.#from.pause();
    else this.#from.resume();
  }

  /** Drops what waits. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#parcels = [];
  }

  #forward(): void {
    const to = this.#to;
    while (to !== undefined && !this.#full) {
      const [parcel] = this.#parcels;
      if (parcel === undefined) {
        if (this.#ended && to.writable) to.end();
        return;
      }
      const wait = parcel.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), wait);
        return;
      }
      this.#parcels.shift();
      if (to.writable) this.#full = !to.write(parcel.chunk);
    }
  }
}
