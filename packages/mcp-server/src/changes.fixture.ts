import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, type ServerProcess, startProcess } from './processes.fixture.ts'
import { listenRequest, notificationsOf } from './sessions/listening.fixture.ts'
import { eventsOf } from './sessions/raw-session.fixture.ts'
import { createTestClient } from './sign-in.fixture.ts'

/** What a client of 2025 does, over the network. */
async function followIn2025(process: ServerProcess, url: string, token: unknown, uris: readonly string[]) {
  const send = (method: string, headers: object, message?: object) =>
    process.serve(
      new Request(url, {
        method,
        headers: {
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2025-11-25',
          authorization: `Bearer ${token}`,
          ...(message && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(message && { body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }) }),
      }),
    )
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: { elicitation: {} },
    clientInfo: { name: 'raw', version: '1' },
  }
  const opened = await send('POST', {}, { method: 'initialize', params })
  await opened.text()
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
  for (const uri of uris) {
    await (await send('POST', session, { method: 'resources/subscribe', params: { uri } })).text()
  }
  return send('GET', session)
}

/** What a stream has told of so far, in the background. */
function collect(response: Response): string[] {
  const heard: string[] = []
  void (async () => {
    for await (const { message } of eventsOf(response)) {
      const told = notificationsOf(message)
      if (told !== undefined) heard.push(told)
    }
  })().catch(() => {})
  return heard
}

const atLast = { timeout: 120_000, interval: 20 }

/**
 * Declares what must hold for two processes on one store. Nothing waits for a time that was guessed: what is heard last
 * shows that everything before it has been heard, or never will be.
 *
 * @param storeOf environment that names the store
 * @param interrupt makes the store go away and come back, where it can
 */
export function describeChangesAcrossProcesses(
  name: string,
  storeOf: () => Record<string, string>,
  interrupt?: () => Promise<void>,
): void {
  describe(`${name}: two processes on one store`, () => {
    let one: ServerProcess
    let other: ServerProcess
    let url: string
    let token: unknown
    beforeAll(async () => {
      const [port, otherPort] = [await freePort(), await freePort()]
      const publicUrl = `http://localhost:${port}`
      url = `${publicUrl}/mcp`
      one = await startProcess('changes-main.fixture.ts', publicUrl, port, storeOf())
      other = await startProcess('changes-main.fixture.ts', publicUrl, otherPort, storeOf())
      token = (await createTestClient(one.serve, publicUrl).signIn({ scope: 'mcp' })).access_token
    }, 180_000)
    afterAll(async () => {
      await Promise.all([one?.close(), other?.close()])
    })

    const news = 'news://today'
    const follow = {
      2025: () => followIn2025(other, url, token, [news]),
      2026: () =>
        other.serve(listenRequest(url, token, { resourcesListChanged: true, resourceSubscriptions: [news] })),
    }

    it.each([2025, 2026] as const)(
      'R160: a client of %i that listens at one hears of a change at the other, of nothing it did not ask for',
      async revision => {
        const heard = collect(await follow[revision]())
        for (const change of ['vault://today', 'resources', news]) await one.tell(change)
        await expect.poll(() => heard, atLast).toEqual(expect.arrayContaining(['resources', news]))
        expect(heard).not.toContain('vault://today')
      },
      180_000,
    )

    if (interrupt) {
      it('whoever listens is told that anything may have changed, when the store was away', async () => {
        const streams = [collect(await follow[2025]()), collect(await follow[2026]())]
        await interrupt()
        for (const heard of streams) {
          await expect.poll(() => heard, atLast).toEqual(expect.arrayContaining(['resources', news]))
        }
        await one.tell('resources')
        for (const heard of streams) {
          await expect
            .poll(() => heard.filter(told => told === 'resources').length, atLast)
            .toBeGreaterThan(1)
        }
      }, 180_000)
    }
  })
}
