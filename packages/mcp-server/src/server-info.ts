import type { Implementation } from '@modelcontextprotocol/server'
import type { ServerOptions } from './server.ts'

/** What clients are told of a server, and may show to users. */
export function serverInfo({
  name,
  version,
  title,
  description,
  websiteUrl,
  icons,
}: Pick<
  ServerOptions,
  'name' | 'version' | 'title' | 'description' | 'websiteUrl' | 'icons'
>): Implementation {
  return {
    name,
    version,
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    ...(websiteUrl !== undefined && { websiteUrl }),
    ...(icons && { icons: [...icons] }),
  }
}
