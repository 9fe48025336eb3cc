import { Command } from 'commander';
import { findPolicy, type ListedRule, readPolicies } from './find-policy.ts';
import { cell, show, table } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { rowNumber } from './row-number.ts';
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
  policy.addCommand(
    remoteCommand('add-rule', 'let a policy grant more, in force at once')
      .argument('<name>', 'of the policy, or its number')
      .argument('<rule>', 'METHOD[:KIND][=COUNT], for example sign_event:1=100')
      .action(addRule),
  );
  policy.addCommand(
    remoteCommand('remove-rule', 'let a policy grant less, in force at once')
      .argument('<id>', 'number of the rule: "redoubt policy list" shows it')
      .action(removeRule),
  );
  policy.addCommand(
    remoteCommand('delete', 'end everything that a policy grants, at once')
      .argument('<name>', 'of the policy, or its number')
      .action(remove),
  );
  return policy;
}

async function list(options: RemoteOptions): Promise<void> {
  const policies = await withDaemon(options, readPolicies);
  const rows = policies.flatMap(({ id, name, expires_at, rules }) => {
    const [first, ...others] = rules.map((rule) => [rule.id, ruleText(rule)]);
    return [[id, name, ...(first ?? ['', '']), expires_at], ...others.map((rule) => [' ', ' ', ...rule, ' '])];
  });
  const none = 'no policies: make one with "redoubt policy create NAME --rule sign_event:1"';
  show({ data: policies, text: table(['ID', 'NAME', 'RULE', 'GRANTS', 'EXPIRES'], rows, none) }, options.json);
}

async function create(name: string, options: RemoteOptions & { rule: string[]; description?: string }): Promise<void> {
  const rules: RuleParam[] = options.rule.map((rule) => parseRule(rule));
  if (rules.length === 0)
    throw new Refusal('a policy needs at least one --rule, for example --rule sign_event:1', EXIT.usage);
  const id = await withDaemon(options, async (call) => {
    const before = await readPolicies(call);
    // Two of one name would be told apart by nobody who creates tokens by name.
    if (before.some((policy) => policy.name === name)) throw new Refusal(`a policy named "${name}" exists already`);
    await call('create_new_policy', [JSON.stringify({ name, description: options.description ?? null, rules })]);
    const after = await readPolicies(call);
    return after.filter((policy) => policy.name === name).at(-1)?.id ?? null;
  });
  show({ data: { id, name }, text: `policy ${id}: ${cell(name)}` }, options.json);
}

async function addRule(name: string, rule: string, options: RemoteOptions): Promise<void> {
  const param = parseRule(rule, 'the rule');
  const policy = await withDaemon(options, async (call) => {
    const { id } = await findPolicy(call, name);
    await call('add_policy_rule', [id, JSON.stringify(param)]);
    return findPolicy(call, String(id), true);
  });
  const text = `policy ${policy.id}: ${cell(policy.name)}  ${cell(policy.rules.map(ruleText).join(' '))}`;
  show({ data: policy, text }, options.json);
}

async function removeRule(given: string, options: RemoteOptions): Promise<void> {
  const id = rowNumber(given, 'a rule is removed', 'policy list');
  await withDaemon(options, (call) => call('remove_policy_rule', [id]));
  show({ data: { id, removed: true }, text: `rule ${id} is removed` }, options.json);
}

async function remove(given: string, options: RemoteOptions): Promise<void> {
  const { id, name } = await withDaemon(options, async (call) => {
    const policy = await findPolicy(call, given);
    await call('delete_policy', [policy.id]);
    return policy;
  });
  show({ data: { id, name, deleted: true }, text: `policy ${id} (${cell(name)}) is deleted` }, options.json);
}

function ruleText(rule: ListedRule): string {
  const { method, kind, max_usage_count: limit, current_usage_count: used } = rule;
  const said = `${method}${kind === null ? '' : `:${kind}`}${limit === null ? '' : `=${used}/${limit}`}`;
  const perToken = rule.max_usage_per_token ? [`${rule.max_usage_per_token} a token`] : [];
  const more = [...perToken, ...(rule.expires_at ? [`until ${rule.expires_at}`] : [])];
  return more.length === 0 ? said : `${said} (${more.join(', ')})`;
}

function collect(rule: string, rules: string[]): string[] {
  return [...rules, rule];
}
