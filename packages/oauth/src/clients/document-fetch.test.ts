import { createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { createDocumentFetch, type DocumentFetchOptions } from './document-fetch.ts'
import { createDocumentHost, type DocumentHost } from './document-host.fixture.ts'

const hosts: DocumentHost[] = []
async function start(): Promise<DocumentHost> {
  const host = await createDocumentHost()
  hosts.push(host)
  return host
}
afterEach(async () => {
  await Promise.all(hosts.splice(0).map(host => host.close()))
})

const fetchFrom = (host: DocumentHost, path = '/client.json', options: DocumentFetchOptions = {}) =>
  createDocumentFetch({ allowLoopback: true, ca: host.ca, ...options })(host.origin + path)

const json = { 'content-type': 'application/json' }

describe('the fetch guard', () => {
  it('R32: a document is fetched with its path as written, without offering compression', async () => {
    const host = await start()
    let headers: unknown
    host.answer((request, response) => {
      headers = request.headers
      response.writeHead(200, { ...json, 'cache-control': 'max-age=60', age: '7' }).end('{"a":"é"}')
    })
    expect(await fetchFrom(host, '/a%2Fb/c.json?x=%41')).toEqual({
      outcome: 'fetched',
      body: '{"a":"é"}',
      cacheControl: 'max-age=60',
      ageSeconds: 7,
    })
    expect(host.requests).toEqual(['/a%2Fb/c.json?x=%41'])
    expect(headers).toMatchObject({ accept: 'application/json', 'accept-encoding': 'identity' })
    expect(headers).not.toHaveProperty('cookie')
    expect(headers).not.toHaveProperty('authorization')
  })

  it.each(['application/json; charset=utf-8', 'Application/JSON', 'application/client+json'])(
    'R32: %s is a media type for a document',
    async contentType => {
      const host = await start()
      host.answer((_, response) => response.writeHead(200, { 'content-type': contentType }).end('{}'))
      expect(await fetchFrom(host)).toMatchObject({ outcome: 'fetched' })
    },
  )

  it.each([301, 302, 303, 307, 308])('R29: a redirect (%s) is not followed', async status => {
    const [host, target] = [await start(), await start()]
    host.answer((_, response) =>
      response.writeHead(status, { ...json, location: `${target.origin}/client.json` }).end('{}'),
    )
    await expect(fetchFrom(host)).rejects.toThrow('status is not 200')
    expect(host.requests).toHaveLength(1)
    expect(target.connections()).toBe(0)
  })

  it.each([201, 203, 204, 206, 304, 400, 401, 403, 429, 500, 503])(
    'R29: status %s is no document',
    async status => {
      const host = await start()
      host.answer((_, response) =>
        response.writeHead(status, json).end(status === 204 || status === 304 ? undefined : '{}'),
      )
      await expect(fetchFrom(host)).rejects.toThrow('status is not 200')
    },
  )

  it.each([404, 410])('R29: status %s withdraws the document', async status => {
    const host = await start()
    host.answer((_, response) => response.writeHead(status, json).end('{}'))
    expect(await fetchFrom(host)).toEqual({ outcome: 'withdrawn' })
  })

  it.each<[string, Record<string, string>, string | Buffer]>([
    ['HTML', { 'content-type': 'text/html' }, '{}'],
    ['no media type', {}, '{}'],
    ['a media type that begins like JSON', { 'content-type': 'application/jsonx' }, '{}'],
    ['a gzip bomb', { ...json, 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(5_000_000, 32))],
    ['an unknown encoding', { ...json, 'content-encoding': 'x' }, '{}'],
    ['bytes that are no UTF-8', json, Buffer.from([0x7b, 0xff, 0x7d])],
    ['one byte too many', json, Buffer.alloc(5121, 32)],
    ['a header of 10 KB', { ...json, 'x-large': 'x'.repeat(10_000) }, '{}'],
  ])('R32: %s is refused', async (_, headers, body) => {
    const host = await start()
    host.answer((_request, response) => response.writeHead(200, headers).end(body))
    await expect(fetchFrom(host)).rejects.toThrow()
    expect(host.requests).toHaveLength(1)
  })

  it('R32: a document of 5 KB fits', async () => {
    const host = await start()
    host.answer((_, response) => response.writeHead(200, json).end(Buffer.alloc(5120, 32)))
    expect(await fetchFrom(host)).toMatchObject({ body: ' '.repeat(5120) })
  })

  it('R32: an endless body is cut off while it comes', async () => {
    const host = await start()
    let sent = 0
    const closed = new Promise<void>(resolve => {
      host.answer((_, response) => {
        response.on('close', resolve)
        response.writeHead(200, json)
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(1024, 32))) sent += 1024
        }
        response.on('drain', more)
        more()
      })
    })
    await expect(fetchFrom(host)).rejects.toThrow('body is too large')
    await closed
    expect(sent).toBeLessThan(5_000_000)
  })

  it.each<[string, (response: import('node:http').ServerResponse) => void]>([
    ['never answers', () => {}],
    [
      'drips',
      response => {
        response.writeHead(200, json)
        const drip = setInterval(() => response.write(' '), 5)
        response.on('close', () => clearInterval(drip))
      },
    ],
    [
      'promises more than it sends',
      response => {
        response.writeHead(200, { ...json, 'content-length': '100' })
        response.write('{}')
      },
    ],
  ])('R32: a host that %s is given up, body included', async (_, respond) => {
    const host = await start()
    const closed = new Promise<void>(resolve => {
      host.answer((_request, response) => {
        response.on('close', resolve)
        respond(response)
      })
    })
    await expect(fetchFrom(host, undefined, { timeoutMs: 150 })).rejects.toThrow()
    // On a machine under load the time can be up before the request is sent.
    if (host.requests.length > 0) await closed
  })

  it('R32: a name that never resolves is given up', async () => {
    const fetch = createDocumentFetch({ lookup: () => new Promise(() => {}), timeoutMs: 50 })
    await expect(fetch('https://client.example/client.json')).rejects.toThrow()
  })

  it('R32: a certificate that nobody vouches for, or for another name, is refused', async () => {
    const host = await start()
    host.answer((_, response) => response.writeHead(200, json).end('{}'))
    await expect(createDocumentFetch({ allowLoopback: true })(`${host.origin}/x`)).rejects.toThrow()
    await expect(
      createDocumentFetch({ allowLoopback: true, ca: host.ca })(`https://[::1]:${host.port}/x`),
    ).rejects.toThrow()
    expect(host.requests).toEqual([])
  })

  const forbidden = [
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::1',
    'fd00::1',
    '0.0.0.0',
    '::',
  ]
  it.each(forbidden)('R30: a name that resolves to %s is not connected to', async address => {
    const canary = await start()
    const lookups: string[] = []
    const lookup = async (hostname: string) => {
      lookups.push(hostname)
      return [{ address, family: address.includes(':') ? 6 : 4 }]
    }
    const fetch = createDocumentFetch({ ca: canary.ca, lookup })
    await expect(fetch(`https://client.example:${canary.port}/client.json`)).rejects.toThrow(
      'address is not public',
    )
    expect(lookups).toEqual(['client.example'])
    expect(canary.connections()).toBe(0)
  })

  it.each([
    [['93.184.216.34', '127.0.0.1']],
    [['127.0.0.1', '93.184.216.34']],
    [['2606:4700::1111', '::1', '93.184.216.34']],
    [[]],
  ])('R30: one bad address among %j and there is no connection at all', async addresses => {
    const canary = await start()
    const lookup = async () => addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
    const fetch = createDocumentFetch({ ca: canary.ca, lookup })
    await expect(fetch(`https://client.example:${canary.port}/client.json`)).rejects.toThrow(
      'address is not public',
    )
    expect(canary.connections()).toBe(0)
  })

  it('R30: the address that was checked is the one connected to; the name is not looked up again', async () => {
    const host = await start()
    host.answer((_, response) => response.writeHead(200, json).end('{}'))
    // Would be another address the second time, as a name that flips between two answers.
    const answers = [[{ address: '127.0.0.1', family: 4 }], [{ address: '10.0.0.1', family: 4 }]]
    let lookups = 0
    const fetch = createDocumentFetch({
      allowLoopback: true,
      ca: host.ca,
      lookup: async () => answers[lookups++] ?? [],
    })
    expect(await fetch(`${host.origin}/client.json`)).toMatchObject({ outcome: 'fetched' })
    expect(lookups).toBe(1)
    await expect(fetch(`${host.origin}/client.json`)).rejects.toThrow('address is not public')
    expect(host.connections()).toBe(1)
  })

  it.each([
    '127.0.0.1',
    '127.0.0.2',
    '[::1]',
    '[::ffff:7f00:1]',
    '10.0.0.1',
    '[fd00::1]',
    '0.0.0.0',
    '169.254.169.254',
    '2130706433',
    '0x7f.1',
  ])('R30: an address for a host is checked too: %s', async literal => {
    const canary = await start()
    const fetch = createDocumentFetch({ ca: canary.ca, lookup: () => Promise.reject(new Error('looked up')) })
    await expect(fetch(`https://${literal}:${canary.port}/client.json`)).rejects.toThrow(
      'address is not public',
    )
    expect(canary.connections()).toBe(0)
  })

  it('R30: with loopback allowed, other names still cannot lead to this machine, nor localhost elsewhere', async () => {
    const canary = await start()
    const to = (address: string) => async () => [{ address, family: 4 }]
    const options = { allowLoopback: true, ca: canary.ca }
    await expect(
      createDocumentFetch({ ...options, lookup: to('127.0.0.1') })(`https://client.example:${canary.port}/x`),
    ).rejects.toThrow('address is not public')
    for (const address of ['10.0.0.1', '93.184.216.34']) {
      await expect(
        createDocumentFetch({ ...options, lookup: to(address) })(`${canary.origin}/x`),
      ).rejects.toThrow('address is not public')
    }
    await expect(createDocumentFetch(options)(`https://127.0.0.2:${canary.port}/x`)).rejects.toThrow(
      'address is not public',
    )
    expect(canary.connections()).toBe(0)
  })

  it('R30: a plain listener gets no byte', async () => {
    let connections = 0
    const listener = createServer(() => connections++).listen(0, '127.0.0.1')
    await new Promise(resolve => listener.once('listening', resolve))
    const { port } = listener.address() as { port: number }
    await expect(createDocumentFetch()(`https://localhost:${port}/x`)).rejects.toThrow(
      'address is not public',
    )
    expect(connections).toBe(0)
    await new Promise(resolve => listener.close(resolve))
  })
})
