import type { Auth, Server } from '@sallyport/mcp-server'

/** Where declarations go: a server whose tools may be protected, or one on which nothing is. */
export type Target = Pick<Server, 'tool' | 'resource' | 'prompt' | 'notify'>

/** What everything on a server asks of its caller; undefined on the open one. */
export type Protection = Auth | undefined
