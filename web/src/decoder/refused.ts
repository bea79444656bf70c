/** A decoder refuses a file that is no bundle of this version; the message says why, in words for a visitor of a page. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Throw `Refused` with `what` unless something holds. */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Refused(what);
}
