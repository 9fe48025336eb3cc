const COMMANDS: { [method: string]: string } = {
  get_keys: 'key list',
  get_policies: 'policy list',
  get_key_users: 'user list KEY',
};

/** The daemon's answers name methods of the admin RPC; whoever is at a command line is told the command. */
export function withCommands(answer: string): string {
  return answer.replace(/\bget_\w+(?= lists them)/g, (method) => {
    const command = COMMANDS[method];
    return command === undefined ? method : `"redoubt ${command}"`;
  });
}
