import { resolve } from 'node:path'

/** What the start of a server tells the person who started it. */
export interface Banner {
  name: string
  url: string
  /** Where its data lies; undefined when it keeps none. */
  dataFolder?: string | undefined
  developmentSignIn: boolean
}

const shellSafe = (name: string) =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '') || 'mcp'

/** The text to print: the URL, and what to paste into which client. */
export function banner({ name, url, dataFolder, developmentSignIn }: Banner): string {
  const id = shellSafe(name)
  const indented = (value: unknown) => JSON.stringify(value, null, 2).replace(/^/gm, '    ')
  return [
    '',
    `${name} is ready: ${url}`,
    '',
    '  Claude Code',
    `    claude mcp add --transport http ${id} ${url}`,
    '',
    '  Claude Desktop (claude_desktop_config.json)',
    indented({ mcpServers: { [id]: { command: 'npx', args: ['-y', 'mcp-remote', url] } } }),
    '',
    '  VS Code (.vscode/mcp.json)',
    indented({ servers: { [id]: { type: 'http', url } } }),
    '',
    ...(dataFolder === undefined ? [] : [`  Data: ${resolve(dataFolder)}`, '']),
    ...(developmentSignIn
      ? [
          '  !! DEVELOPMENT SIGN-IN: anybody on this machine can sign in under any name, without a password. !!',
          '',
        ]
      : []),
  ].join('\n')
}
