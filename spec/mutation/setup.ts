import fc from 'fast-check';

// A mutant is killed by whatever fails, however large it is.
fc.configureGlobal({ endOnFailure: true });
