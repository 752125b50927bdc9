import { InMemoryServerEventBus, type ServerEvent } from '@modelcontextprotocol/server'
import { expect, it } from 'vitest'
import { createRegistry } from '../registry.ts'
import { hasScopes } from '../scope-hierarchy.ts'
import type { Caller } from '../tools/call-context.ts'
import { guardChanges } from './changes.ts'

const now = 1_800_000_000
const callerOf = (grantId: string, over: Partial<Caller> = {}) =>
  ({
    principal: 'user',
    userId: 'ada',
    grantId,
    scopes: [],
    expiresAt: now + 60,
    ...over,
  }) as unknown as Caller

function setUp() {
  const bus = new InMemoryServerEventBus()
  const changes = guardChanges(
    {
      publish: event => bus.publish(event),
      subscribe: listener => bus.subscribe(listener),
      onGap: () => () => {},
    },
    { registry: createRegistry(), hasScopes, clock: () => now, onError: () => {} },
  )
  const listen = (caller: Caller | undefined) => {
    const who = { caller }
    const heard: ServerEvent[] = []
    let catchUp = () => {}
    changes
      .heardBy({
        caller: () => who.caller,
        onRenewed(step) {
          catchUp = step
        },
      })
      .subscribe(event => void heard.push(event))
    return { who, heard, renewed: () => catchUp() }
  }
  const publish = async () => {
    changes.publish({ kind: 'tools_list_changed' })
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  return { changes, listen, publish }
}

it('R157: who listens over stdio or in a session hears nothing more once the sign-in is revoked', async () => {
  const { changes, listen, publish } = setUp()
  const [mine, theirs, nobody] = [listen(callerOf('mine')), listen(callerOf('theirs')), listen(undefined)]
  await publish()
  changes.endGrant('mine')
  await publish()
  expect([mine, theirs, nobody].map(({ heard }) => heard.length)).toEqual([1, 2, 2])
})

it('and is told that anything may have changed, when somebody has signed in again', async () => {
  const { changes, listen, publish } = setUp()
  const mine = listen(callerOf('mine'))
  changes.endGrant('mine')
  await publish()
  mine.who.caller = callerOf('another')
  mine.renewed()
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  expect(mine.heard.map(({ kind }) => kind)).toEqual([
    'tools_list_changed',
    'prompts_list_changed',
    'resources_list_changed',
  ])
})
