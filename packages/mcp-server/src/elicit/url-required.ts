import { randomUUID } from 'node:crypto'
import { type ClientCapabilities, UrlElicitationRequiredError } from '@modelcontextprotocol/server'
import { type ClientExchange, type ConnectionNeed, noExchange } from './exchange.ts'

/**
 * For a request within a session that takes no stream: there is nothing to ask over, but an error can name the link
 * (`-32042`), and the client calls again when its user is done.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#url-elicitation-required-error
 */
export function createUrlRequiredExchange({ elicitation }: ClientCapabilities): ClientExchange {
  if (!elicitation?.url) return noExchange
  const connect = async ({ message, link }: ConnectionNeed): Promise<never> => {
    throw new UrlElicitationRequiredError([
      { mode: 'url', message, url: await link(), elicitationId: randomUUID() },
    ])
  }
  return { ...noExchange, connect, mend: connect }
}
