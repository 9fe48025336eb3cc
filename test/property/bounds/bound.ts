/** A bound on what is read from outside. */
export interface Bound {
  what: string;
  limit: number;
  /** Whether a value of this size passes; awaited. What is cut instead of refused passes when it is whole. */
  passes(size: number): boolean | Promise<boolean>;
  /** It bounds from below: the limit passes, one less does not. */
  least?: true;
}
