import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import type { Contender } from './contender.ts'
import { listening } from './echoes.ts'

const issuer = 'https://issuer.example'
const audience = 'https://mcp.example.com/mcp'

/** SDK 2.x as its documentation tells users: a server for each request, its token verified with jose before. */
export async function createSdkServer(tools: number): Promise<Contender> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: 'key', alg: 'RS256' }] })
  const token = await new SignJWT({ client_id: 'bench', scope: 'mcp', sid: 'session', jti: 'token' })
    .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: 'key' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('user')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'bench', version: '1.0.0' })
    for (let index = 0; index < tools; index++) {
      server.registerTool(
        `tool-${index}`,
        { description: 'Says what it is told', inputSchema: z.object({ text: z.string() }) },
        ({ text }) => ({ content: [{ type: 'text', text }] }),
      )
    }
    return server
  })
  const listener = getRequestListener(async request => {
    const presented = request.headers.get('authorization')?.slice('Bearer '.length) ?? ''
    const { payload } = await jwtVerify(presented, keys, {
      issuer,
      audience,
      typ: 'at+jwt',
      algorithms: ['RS256'],
      requiredClaims: ['exp', 'sub'],
    })
    return handler.fetch(request, {
      authInfo: {
        token: presented,
        clientId: String(payload.client_id),
        scopes: ['mcp'],
        expiresAt: payload.exp ?? 0,
      },
    })
  })
  const contender = await listening(createServer(listener), token)
  return {
    ...contender,
    async close() {
      await handler.close()
      await contender.close()
    },
  }
}
