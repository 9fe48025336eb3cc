/**
 * An archive that is not restored: `message` says in a few words why, to follow its path. Thrown where bytes are read,
 * deep below whoever turns it into a refusal.
 */
export class Unfit extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Unfit';
  }
}
