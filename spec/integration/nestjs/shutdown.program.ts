/** A Nest application that a signal ends: `shutdown.program.ts <url> <queue>`. Says what happens, in order. */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InstanceQueueModule, Subscribe } from '../../../lib/nestjs';

const [url = '', queue = ''] = process.argv.slice(2);
const say = (what: string): void => void process.stdout.write(`${what}\n`);

class Database {
  open = true;
  beforeApplicationShutdown(): void {
    this.open = false;
    say('database closed');
  }
}
class Orders {
  readonly #database: Database;
  constructor(database: Database) {
    this.#database = database;
  }
  async ship(): Promise<void> {
    say('begun');
    await new Promise((resolve) => setTimeout(resolve, 300));
    say(this.#database.open ? 'ended' : 'ended without a database');
  }
}
class App {
  onApplicationShutdown(signal?: string): void {
    say(`shut down by ${signal ?? 'nothing'}`);
  }
}
// esbuild, which compiles this program, leaves decorators alone.
Injectable()(Database);
Injectable()(Orders);
Reflect.defineMetadata('design:paramtypes', [Database], Orders);
const ship = Object.getOwnPropertyDescriptor(Orders.prototype, 'ship');
if (ship) Subscribe({ queue })(Orders.prototype, 'ship', ship);
Module({ imports: [InstanceQueueModule.forRoot({ url, waitUntilUp: true })], providers: [Database, Orders] })(App);

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  app.enableShutdownHooks();
  say('up');
}
void main();
