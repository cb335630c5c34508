import { Connection, InstanceQueue, consume } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually } from '../../support/waiting';

describe('the queue that is consumed', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  beforeEach(async () => {
    side = await Bystander.at(url);
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  const connected = (): Connection => closing(new Connection(proxy.url(url)));
  const attached = (): Promise<boolean> => eventually(() => log.of('basic.consume-ok').length > 0);
  const declared = (): { passive: unknown; name: unknown }[] =>
    log.of('queue.declare').map(({ fields }) => ({ passive: fields['passive'], name: fields['queue'] }));

  it('is used as it is when a name is given and it exists, whatever its properties', async () => {
    const name = await side.queue({
      durable: false,
      exclusive: false,
      autoDelete: true,
      arguments: { 'x-max-length': 3 },
    });
    gather(consume(connected(), { queue: name }));
    await attached();
    expect(declared()).toEqual([{ passive: true, name }]);
  });

  it('is declared durable when a name is given and it is missing', async () => {
    const name = side.tidies();
    gather(consume(connected(), { queue: name }));
    await attached();
    expect(declared()).toEqual([
      { passive: true, name },
      { passive: false, name },
    ]);
    expect(log.of('queue.declare')[1]?.fields).toMatchObject({ durable: true, exclusive: false, autoDelete: false });
  });

  it('is asserted when a spec is given', async () => {
    const name = side.tidies();
    gather(consume(connected(), { queue: { name, maxLength: 7, messageTtl: 60_000 } }));
    await attached();
    expect(declared()).toEqual([{ passive: false, name }]);
    expect(log.of('queue.declare')[0]?.fields).toMatchObject({
      durable: true,
      arguments: { 'x-max-length': 7, 'x-message-ttl': 60_000 },
    });
  });

  it('is only checked when the spec is passive', async () => {
    const name = await side.queue();
    gather(consume(connected(), { queue: { name, passive: true } }));
    await attached();
    expect(declared()).toEqual([{ passive: true, name }]);
  });

  it('is neither declared nor checked with `declare: false`, spec and topology or not', async () => {
    const name = await side.queue();
    const topology = { exchanges: [{ name: side.tidiesExchange(), type: 'fanout' }] };
    gather(consume(connected(), { queue: { name, maxLength: 9 }, topology, declare: false }));
    await attached();
    expect(log.methods('toBroker').filter((method) => /^(queue|exchange)\./.test(method))).toEqual([]);
  });

  it('is the entry of the topology that has its name', async () => {
    const name = side.tidies();
    const topology = { queues: [{ name, maxLength: 4 }] };
    gather(consume(connected(), { queue: name, topology }));
    await attached();
    expect(declared()).toEqual([{ passive: false, name }]);
    expect(log.of('queue.declare')[0]?.fields).toMatchObject({ arguments: { 'x-max-length': 4 } });
  });

  it('is the entry of the topology of the InstanceQueue as well', async () => {
    const name = side.tidies();
    const queue = closing(new InstanceQueue({ url: proxy.url(url), topology: { queues: [{ name, maxLength: 4 }] } }));
    gather(queue.consume({ queue: name }));
    await attached();
    expect(declared()).toEqual([{ passive: false, name }]);
  });

  it('cannot be two things: a spec beside another entry of that name is refused with 406', async () => {
    const name = side.tidies();
    const topology = { queues: [{ name, maxLength: 4 }] };
    const gathered = gather(consume(connected(), { queue: { name, maxLength: 5 }, topology }));
    await eventually(() => gathered.error);
    expect(gathered.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  });

  it("is of the broker's naming when the name is empty, and named in each delivery", async () => {
    const { values } = gather(consume(connected(), { queue: '' }));
    await attached();
    const name = String(log.of('queue.declare-ok')[0]?.fields['queue']);
    expect(name).toMatch(/^amq\.gen-/);
    await side.put(name, 'hello');
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ queue: name, body: 'hello', exchange: '', routingKey: name });
  });
});
