import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSignInRequired, createTestServer } from '@sallyport/mcp-server/testing'
import { server } from './server.ts'

test('greets everybody', async () => {
  await using kit = createTestServer(server)
  const client = await kit.asNobody().connect()
  const { content } = await client.callTool({ name: 'greet', arguments: { name: 'Ada' } })
  assert.deepEqual(content, [{ type: 'text', text: 'Hello, Ada!' }])
})

test('keeps a notebook for each user', async () => {
  await using kit = createTestServer(server)
  const note = { name: 'add-note', arguments: { text: 'milk' } }
  await assertSignInRequired((await kit.asNobody().connect()).callTool(note), { scopes: ['notes:write'] })

  const ada = await (await kit.asUser({ sub: 'ada', scopes: ['notes:write'] })).connect()
  await ada.callTool(note)
  const { contents } = await ada.readResource({ uri: 'notebook://mine' })
  assert.deepEqual(
    contents.map(each => 'text' in each && each.text),
    ['["milk"]'],
  )

  const bob = await (await kit.asUser({ sub: 'bob' })).connect()
  const his = await bob.readResource({ uri: 'notebook://mine' })
  assert.deepEqual(
    his.contents.map(each => 'text' in each && each.text),
    ['[]'],
  )
})
