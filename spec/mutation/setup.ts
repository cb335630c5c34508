import fc from 'fast-check';

// A mutant is killed by whatever fails, however large it is.
fc.configureGlobal({ endOnFailure: true });

// The first run of all tests, which notes what each of them reaches, is several times slower. A mutant that hangs costs this much.
jest.setTimeout(process.env['__STRYKER_ACTIVE_MUTANT__'] === undefined ? 600_000 : 20_000);
