/** NIP-01 OK reasons for events that were not answered. */
export function verdictText(outcome: string): string {
  switch (outcome) {
    case 'dropped: signature':
      return 'invalid: id or signature is wrong';
    case 'dropped: skew':
      return 'invalid: created_at is too far from the present';
    case 'dropped: replay':
      return 'duplicate: handled before';
    default:
      return 'blocked: not accepted';
  }
}
