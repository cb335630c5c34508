import type * as Microservices from '@nestjs/microservices';
import { isError } from '../../errors';

/** Stands in for a class of `@nestjs/microservices` where that is not installed. */
function Missing(): never {
  const name = String(Reflect.get(new.target, 'name'));
  throw new Error(`${name} needs @nestjs/microservices: npm install @nestjs/microservices`);
}

/** `@nestjs/microservices`, if it is installed: the module is for applications without microservices, too. */
function load(): Pick<typeof Microservices, 'Server' | 'ClientProxy' | 'RmqRecord'> {
  try {
    return require('@nestjs/microservices') as typeof Microservices;
  } catch (error) {
    if (!isError(error) || Reflect.get(error, 'code') !== 'MODULE_NOT_FOUND') throw error;
    // Their constructors throw before anything else can be asked of them.
    const missing: unknown = Missing;
    return {
      Server: missing as typeof Microservices.Server,
      ClientProxy: missing as typeof Microservices.ClientProxy,
      RmqRecord: missing as typeof Microservices.RmqRecord,
    };
  }
}

export const { Server, ClientProxy, RmqRecord } = load();
