/** Routing keys and patterns, for the compiler. */
import type { Binary, Codec } from 'instance-queue';
import type { BodyFor, BoundTo, RoutingKey } from '../../lib/contract-codecs';
import type { IsPattern, MostSpecific, Overlaps } from '../../lib/routing-key';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
function same<A, B>(_: Same<A, B>) {}
declare const text: Codec<string>;
declare const images: Codec<Buffer, Binary>;

// ── keys ──
same<IsPattern<'a.*'>, true>(true);
same<IsPattern<'#'>, true>(true);
same<IsPattern<'a.b*'>, false>(true);
same<Overlaps<'a.*.c', 'a.b.c'>, true>(true);
same<Overlaps<'a.*.c', 'a.b.b.c'>, false>(true);
same<Overlaps<'a.*', 'a'>, false>(true);
same<Overlaps<'a.#', 'a'>, true>(true);
same<Overlaps<'a.#', 'a.b.c'>, true>(true);
same<Overlaps<'#.c', 'a.b.c'>, true>(true);
same<Overlaps<'#.c', 'c'>, true>(true);
same<Overlaps<'a.#.c', 'a.c'>, true>(true);
same<Overlaps<'a.#.c', 'a.b.d'>, false>(true);
same<Overlaps<'a.*', '#.b'>, true>(true);
same<Overlaps<'a.b', 'a.c'>, false>(true);
same<Overlaps<'a.*.c', `a.${string}.c`>, true>(true);
same<MostSpecific<'#' | 'a.#' | 'a.*' | 'a.*.#'>, 'a.*'>(true);
same<MostSpecific<'*.b' | 'a.*'>, 'a.*'>(true);
same<MostSpecific<'a'>, 'a'>(true);

same<RoutingKey<{ 'a.*.b': typeof text; c: typeof text }>, 'c' | `a.${string}.b`>(true);
same<BoundTo<{ 'a.b': typeof text; 'a.c': typeof text; 'd.#': typeof text }, 'a.*'>, 'a.b' | 'a.c'>(true);
same<BodyFor<{ '#': typeof text; 'a.*': typeof images }, 'a.b'>, Binary>(true);
