import { expect, it } from 'vitest'
import { serveApi } from './openapi.ts'

it('every operation that only reads becomes a tool, and nothing is fetched for it', async () => {
  const server = await serveApi({
    openapi: '3.1.0',
    info: { title: 'Drive', version: '1' },
    servers: [{ url: 'https://www.googleapis.com/drive/v3' }],
    paths: {
      '/files': {
        get: { operationId: 'listFiles', responses: { 200: { description: 'ok' } } },
        post: { operationId: 'createFile', responses: { 200: { description: 'ok' } } },
      },
    },
  })
  const tool = { description: 'd', run: () => '' }
  expect(() => server.tool('listFiles', tool)).toThrow('listFiles')
  expect(() => server.tool('createFile', tool)).not.toThrow()
})
