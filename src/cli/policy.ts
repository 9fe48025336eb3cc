import { Command } from 'commander';
import { cell, show, table } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { parseRule, type RuleParam } from './rule.ts';

/** `redoubt policy ...` */
export function policyCommand(): Command {
  const policy = new Command('policy').description('what tokens grant');
  policy.addCommand(remoteCommand('list', 'list the policies with their rules').action(list));
  policy.addCommand(
    remoteCommand('create', 'make a policy')
      .argument('<name>')
      .option('--rule <rule>', 'METHOD[:KIND][=COUNT], for example sign_event:1=100; once for each rule', collect, [])
      .option('--description <text>', 'what it is for')
      .action(create),
  );
  return policy;
}

interface ListedRule {
  method: string;
  kind: string | null;
  max_usage_count: number | null;
  current_usage_count: number;
}

interface ListedPolicy {
  id: number;
  name: string;
  expires_at: string | null;
  rules: ListedRule[];
}

async function list(options: RemoteOptions): Promise<void> {
  const policies = JSON.parse(await withDaemon(options, (call) => call('get_policies'))) as ListedPolicy[];
  const rows = policies.map(({ id, name, expires_at, rules }) => [id, name, rules.map(ruleText).join(' '), expires_at]);
  const none = 'no policies: make one with "redoubt policy create NAME --rule sign_event:1"';
  show({ data: policies, text: table(['ID', 'NAME', 'RULES', 'EXPIRES'], rows, none) }, options.json);
}

async function create(name: string, options: RemoteOptions & { rule: string[]; description?: string }): Promise<void> {
  const rules: RuleParam[] = options.rule.map(parseRule);
  if (rules.length === 0)
    throw new Refusal('a policy needs at least one --rule, for example --rule sign_event:1', EXIT.usage);
  const id = await withDaemon(options, async (call) => {
    const before = JSON.parse(await call('get_policies')) as ListedPolicy[];
    // Two of one name would be told apart by nobody who creates tokens by name.
    if (before.some((policy) => policy.name === name)) throw new Refusal(`a policy named "${name}" exists already`);
    await call('create_new_policy', [JSON.stringify({ name, description: options.description ?? null, rules })]);
    const after = JSON.parse(await call('get_policies')) as ListedPolicy[];
    return after.filter((policy) => policy.name === name).at(-1)?.id ?? null;
  });
  show({ data: { id, name }, text: `policy ${id}: ${cell(name)}` }, options.json);
}

function ruleText({ method, kind, max_usage_count: limit, current_usage_count: used }: ListedRule): string {
  return `${method}${kind === null ? '' : `:${kind}`}${limit === null ? '' : `=${used}/${limit}`}`;
}

function collect(rule: string, rules: string[]): string[] {
  return [...rules, rule];
}
