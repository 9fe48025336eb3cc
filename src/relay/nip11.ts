import type { EmbeddedLimits } from './embedded-limits.ts';
import { frameLimit } from './frame.ts';

/** The relay's information document (NIP-11). */
export function informationDocument(limits: EmbeddedLimits, software: { name: string; version: string }): string {
  return JSON.stringify({
    name: software.name,
    description: 'Carries NIP-46 (kinds 24133 and 24134) for one remote signer; stores nothing.',
    supported_nips: [1, 11, 46],
    software: software.name,
    version: software.version,
    limitation: {
      max_message_length: frameLimit(limits.maxContent),
      max_content_length: limits.maxContent,
      max_event_tags: limits.maxTags,
      max_subscriptions: limits.subscriptions,
      max_filters: limits.filters,
      max_subid_length: 64,
      max_limit: 0,
      auth_required: false,
      payment_required: false,
      restricted_writes: true,
    },
  });
}
