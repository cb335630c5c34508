import { concat, of, throwError, type Observable } from 'rxjs';

/** Values of the option `pause` that end a consumer, and the cause of the error that ends it. */
export const BROKEN_PAUSES: readonly (readonly [
  what: string,
  pause: Observable<boolean>,
  cause: object | undefined,
])[] = [
  [
    'fails',
    concat(
      of(false),
      throwError(() => new Error('breaker')),
    ),
    { message: 'breaker' },
  ],
  ['emits something other than a boolean', of(JSON.parse('1') as boolean), undefined],
];
