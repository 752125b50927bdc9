import { afterEach, describe, expect, it } from 'vitest'
import { OAuthError } from '../errors.ts'
import { createMetadataDocuments, type MetadataDocumentOptions } from './client-id-metadata-document.ts'
import type { DocumentAnswer } from './document-fetch.ts'
import { createDocumentHost, type DocumentHost } from './document-host.fixture.ts'

const url = 'https://client.example/client.json'
const valid = {
  client_id: url,
  client_name: 'Client',
  client_uri: 'https://client.example',
  redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
  token_endpoint_auth_method: 'none',
}

/** Documents over a host that answers as the test says, on a clock that stands still. */
function setUp(options: Partial<MetadataDocumentOptions> = {}) {
  const time = { now: 1_800_000_000 }
  const fetched: string[] = []
  const host = { answer: (_: string): Promise<DocumentAnswer> => Promise.reject(new Error('canary-reason')) }
  const documents = createMetadataDocuments({
    clock: () => time.now,
    schemes: [],
    fetchDocument: async address => {
      fetched.push(address)
      return host.answer(address)
    },
    ...options,
  })
  const serve = (document: unknown, cacheControl = '', ageSeconds = 0) => {
    const body = typeof document === 'string' ? document : JSON.stringify(document)
    host.answer = async () => ({ outcome: 'fetched', body, cacheControl, ageSeconds })
  }
  const fail = () => {
    host.answer = () => Promise.reject(new Error('canary-reason'))
  }
  const withdraw = () => {
    host.answer = async () => ({ outcome: 'withdrawn' })
  }
  return { documents, time, fetched, host, serve, fail, withdraw }
}
const refusal = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof OAuthError)) throw new Error('was not refused')
  return { code: error.code, status: error.status, description: error.description, headers: error.headers }
}
const unavailable = {
  code: 'temporarily_unavailable',
  status: 503,
  description:
    'The metadata document of the client could not be read. Check its URL or try again in a moment.',
  headers: {},
}

describe('isDocumentUrl', () => {
  const { documents } = setUp()
  it.each([
    'https://claude.ai/oauth/claude-code-client-metadata',
    url,
    'https://client.example/a/..b/.c/',
    'https://client.example/client.json?version=1&x=%2F',
    'https://client.example//client.json',
    'https://xn--mller-kva.example/client.json',
    'https://203.0.113.1/client.json',
  ])('R27: %s is the URL of a document', value => {
    expect(documents.isDocumentUrl(value)).toBe(true)
  })

  it.each([
    '',
    'https://',
    'https:///client.json',
    'https:/client.example/client.json',
    'https:client.example/client.json',
    'http://client.example/client.json',
    'HTTPS://client.example/client.json',
    'Https://client.example/client.json',
    ' https://client.example/client.json',
    'https://client.example/client.json ',
    'https://client.example/client.json\n',
    'https://client.example/cli\tent.json',
    'https://client.example/client.json\u0000',
    'https://client.example',
    'https://client.example/',
    'https://client.example?x',
    'https://client.example/?x',
    'https://client.example/client.json#',
    'https://client.example/client.json#x',
    'https://user@client.example/client.json',
    'https://user:pass@client.example/client.json',
    'https://@client.example/client.json',
    'https://client.example\\client.json',
    'https://client.example/a\\b',
    'https://client.example/./client.json',
    'https://client.example/a/../client.json',
    'https://client.example/a/..',
    'https://client.example/%2e/client.json',
    'https://client.example/a/%2E%2e/client.json',
    'https://client.example/a/.%2e',
    'https://client.example/%zz',
    'https://client.example/%',
    'https://CLIENT.example/client.json',
    'https://client.example:443/client.json',
    'https://client.example:8443/client.json',
    'https://client.example:22/client.json',
    'https://client.example:x/client.json',
    'https://clïent.example/client.json',
    'https://client．example/client.json',
    'https://client.example/ü',
    'https://client.example/"x',
    'https://127.1/client.json',
    'https://0x7f000001/client.json',
    'https://localhost:8443/client.json',
    'https://[::1]:8443/client.json',
    `https://client.example/${'x'.repeat(1000)}`,
    'javascript:https://client.example/client.json',
  ])('R27: %j is not', value => {
    expect(documents.isDocumentUrl(value)).toBe(false)
  })

  it('R32: other ports are for this machine, when tests allow it', () => {
    const onLoopback = setUp({ allowLoopback: true }).documents
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      expect(onLoopback.isDocumentUrl(`https://${host}:8443/client.json`)).toBe(true)
    }
    expect(onLoopback.isDocumentUrl('https://client.example:8443/client.json')).toBe(false)
    expect(onLoopback.isDocumentUrl('http://localhost:8443/client.json')).toBe(false)
  })
})

describe('what a document may say', () => {
  it('R28: the document of a client is read', async () => {
    const { documents, serve } = setUp()
    serve({ ...valid, logo_uri: 'https://cdn.example/logo.png', scope: 'x', unknown: 1 })
    expect(await documents.findMetadata(url)).toEqual({
      redirect_uris: valid.redirect_uris,
      client_name: 'Client',
      client_uri: 'https://client.example',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    })
  })

  it.each([
    'https://client.example/client.json/',
    'https://client.example:443/client.json',
    'https://CLIENT.example/client.json',
    'HTTPS://client.example/client.json',
    'https://client.example/client%2ejson',
    'https://client.example/Client.json',
    'https://client.example/./client.json',
    'https://client.example/client.json?',
    'https://client.example/client.json#',
    ' https://client.example/client.json',
    'https://client.example./client.json',
    'https://evil.example/client.json',
    '',
    null,
    [url],
    undefined,
  ])('R28: a document with the client_id %j is not that of the client', async client_id => {
    const { documents, serve } = setUp()
    serve({ ...valid, client_id })
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
  })

  it.each([
    ['no JSON', '<html>'],
    ['half of one', JSON.stringify(valid).slice(0, -1)],
    ['a list', JSON.stringify([valid])],
    ['null', 'null'],
    ['nothing', ''],
    ['nested without end', `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`],
  ])('R38: an answer that is %s looks like a host that is down', async (_, body) => {
    const { documents, serve, withdraw, fail } = setUp()
    serve(body)
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
    fail()
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
    withdraw()
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
  })

  it.each<[string, Record<string, unknown>]>([
    ['R28: no name', { client_name: undefined }],
    ['R28: an empty name', { client_name: ' ' }],
    ['R28: a name that is no string', { client_name: 1 }],
    ['R17: a name with a bidi override', { client_name: 'a\u202eb' }],
    ['R28: no redirect URIs', { redirect_uris: undefined }],
    ['R28: an empty list of redirect URIs', { redirect_uris: [] }],
    ['R16: a hostile redirect URI', { redirect_uris: [...valid.redirect_uris, 'javascript:alert(1)'] }],
    ['R17: a hostile logo', { logo_uri: 'javascript:alert(1)' }],
    ['R34: a secret', { client_secret: 'x' }],
    ['R34: an empty secret', { client_secret: '' }],
    ['R34: the end of a secret', { client_secret_expires_at: 0 }],
    ['R34: client_secret_basic', { token_endpoint_auth_method: 'client_secret_basic' }],
    ['R34: client_secret_post', { token_endpoint_auth_method: 'client_secret_post' }],
    [
      'R34: client_secret_jwt, whatever else is offered',
      { token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_methods_supported: ['none'] },
    ],
    [
      'R34: private_key_jwt without keys',
      {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_methods_supported: ['tls_client_auth'],
      },
    ],
    [
      'R18: private_key_jwt with keys that are fetched over http',
      { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'http://client.example/jwks' },
    ],
    ['R34: a private key', { jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' }] } }],
    ['R19: no authorization codes', { grant_types: ['client_credentials'] }],
  ])('%s in a document makes the client unknown', async (_, change) => {
    const { documents, serve } = setUp()
    serve({ ...valid, ...change })
    expect(await documents.findMetadata(url)).toBeUndefined()
  })

  it.each<[string, Record<string, unknown>]>([
    ['names no method', { token_endpoint_auth_method: undefined }],
    [
      'prefers private_key_jwt and offers none',
      {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
        jwks_uri: 'https://client.example/jwks',
      },
    ],
    [
      'is for web and native installations',
      { application_type: 'web', redirect_uris: ['https://client.example/cb', 'http://localhost/cb'] },
    ],
  ])('R34: a document that %s is usable without authentication', async (_, change) => {
    const { documents, serve, fetched } = setUp()
    serve({ ...valid, ...change })
    expect((await documents.findMetadata(url))?.token_endpoint_auth_method).toBe('none')
    // R31: nothing that a document names is fetched.
    expect(fetched).toEqual([url])
  })
})

describe('private_key_jwt in a document', () => {
  const jwks_uri = 'https://client.example/jwks'
  const preferring = { token_endpoint_auth_method: 'private_key_jwt', jwks_uri }

  it.each([undefined, ['private_key_jwt'], ['private_key_jwt', 'tls_client_auth'], 'none'])(
    'R34: with %j beside it, the key is required',
    async offered => {
      const { documents, serve, fetched } = setUp()
      serve({ ...valid, ...preferring, token_endpoint_auth_methods_supported: offered })
      expect(await documents.findMetadata(url)).toMatchObject(preferring)
      // R31: the keys are fetched when an assertion has to be verified, and not before.
      expect(fetched).toEqual([url])
    },
  )

  it('R34: with none beside it, both will do', async () => {
    const { documents, serve } = setUp()
    serve({ ...valid, ...preferring, token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'] })
    expect(await documents.findMetadata(url)).toMatchObject({ token_endpoint_auth_method: 'none', jwks_uri })
  })

  it.each([
    ['with a key, where the server takes assertions', true, preferring, true],
    ['with a key, where it does not', false, preferring, false],
    ['without a key', true, {}, false],
  ])('R127: a document may ask for jwt-bearer %s', async (_, identityAssertions, change, expected) => {
    const { documents, serve } = setUp({ identityAssertions })
    const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
    serve({ ...valid, ...change, grant_types: ['authorization_code', grant] })
    expect((await documents.findMetadata(url))?.grant_types).toEqual(
      expected ? ['authorization_code', grant] : ['authorization_code'],
    )
  })
})

describe('how long a document is kept', () => {
  it.each([
    ['', 0, 3600],
    ['max-age=600', 0, 600],
    ['max-age=600', 200, 400],
    ['public, MAX-AGE="600"', 0, 600],
    ['max-age=0', 0, 60],
    ['max-age=100', 1000, 60],
    ['no-cache', 0, 60],
    ['no-cache, max-age=900', 0, 60],
    ['max-age=999999999', 0, 86_400],
    ['max-age=-5', 0, 3600],
    ['private, stale-while-revalidate=5', 0, 3600],
  ])('R33: %j with age %s: %s seconds', async (cacheControl, age, seconds) => {
    const { documents, serve, fetched, time } = setUp()
    serve(valid, cacheControl, age)
    await documents.findMetadata(url)
    serve({ ...valid, client_name: 'Renamed' })
    time.now += seconds - 1
    expect((await documents.findMetadata(url))?.client_name).toBe('Client')
    time.now += 1
    expect((await documents.findMetadata(url))?.client_name).toBe('Renamed')
    expect(fetched).toHaveLength(2)
  })

  it('R33: no-store is respected, and removes what was kept before', async () => {
    const { documents, serve, fetched, time, fail } = setUp()
    serve(valid)
    await documents.findMetadata(url)
    time.now += 3600
    serve(valid, 'max-age=600, no-store')
    await documents.findMetadata(url)
    await documents.findMetadata(url)
    expect(fetched).toHaveLength(3)
    fail()
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
  })

  it('R33: failures and bad documents are not kept', async () => {
    const { documents, serve, fail, fetched } = setUp()
    fail()
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
    serve({ ...valid, redirect_uris: [] }, 'max-age=600')
    expect(await documents.findMetadata(url)).toBeUndefined()
    serve(valid)
    expect((await documents.findMetadata(url))?.client_name).toBe('Client')
    expect(fetched).toHaveLength(3)
  })

  it('R33: no more than 1000 documents are kept', async () => {
    const { documents, host, fetched } = setUp()
    host.answer = async address => ({
      outcome: 'fetched',
      body: JSON.stringify({ ...valid, client_id: address }),
      cacheControl: 'max-age=86400',
      ageSeconds: 0,
    })
    const address = (index: number) => `https://client.example/${index}.json`
    for (let index = 0; index <= 1000; index++) await documents.findMetadata(address(index))
    await documents.findMetadata(address(1000))
    expect(fetched).toHaveLength(1001)
    await documents.findMetadata(address(0))
    expect(fetched).toHaveLength(1002)
  })

  it('R33: a host that is down for a day signs nobody out, and is not asked at every request', async () => {
    const { documents, serve, fail, fetched, time } = setUp()
    serve(valid, 'max-age=60')
    await documents.findMetadata(url)
    fail()
    time.now += 60
    expect((await documents.findMetadata(url))?.client_name).toBe('Client')
    expect((await documents.findMetadata(url))?.client_name).toBe('Client')
    expect(fetched).toHaveLength(2)
    time.now += 60
    await documents.findMetadata(url)
    expect(fetched).toHaveLength(3)
    time.now += 86_400 - 61
    expect((await documents.findMetadata(url))?.client_name).toBe('Client')
    time.now += 60
    expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
  })

  it('R33: what its host has withdrawn or spoilt does not live on', async () => {
    for (const spoil of ['withdraw', 'serve'] as const) {
      const { documents, serve, withdraw, fail, time } = setUp()
      serve(valid, 'max-age=60')
      await documents.findMetadata(url)
      time.now += 60
      if (spoil === 'withdraw') {
        withdraw()
        expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
      } else {
        serve({ ...valid, client_secret: 'x' })
        expect(await documents.findMetadata(url)).toBeUndefined()
      }
      fail()
      expect(await refusal(documents.findMetadata(url))).toEqual(unavailable)
    }
  })
})

describe('how much is fetched at once', () => {
  /** A host whose answers wait until the test lets them go. */
  function setUpSlow() {
    const parts = setUp()
    const waiting: (() => void)[] = []
    parts.host.answer = address =>
      new Promise(resolve => {
        const body = JSON.stringify({ ...valid, client_id: address })
        waiting.push(() => resolve({ outcome: 'fetched', body, cacheControl: 'no-store', ageSeconds: 0 }))
      })
    const release = () => {
      for (const answer of waiting.splice(0)) answer()
    }
    return { ...parts, release }
  }

  it('R32: requests for one document share one fetch, also for one that is not to be stored', async () => {
    const { documents, fetched, release } = setUpSlow()
    const results = Promise.all(Array.from({ length: 50 }, () => documents.findMetadata(url)))
    release()
    expect(new Set((await results).map(metadata => metadata?.client_name))).toEqual(new Set(['Client']))
    expect(fetched).toHaveLength(1)
  })

  it('R32: two documents of one host are fetched at once, and no third', async () => {
    const { documents, fetched, release } = setUpSlow()
    const [first, second] = [1, 2].map(index =>
      documents.findMetadata(`https://client.example/${index}.json`),
    )
    expect(await refusal(documents.findMetadata('https://client.example/3.json'))).toEqual(unavailable)
    const other = documents.findMetadata('https://other.example/1.json')
    release()
    await Promise.all([first, second, other])
    const third = documents.findMetadata('https://client.example/3.json')
    release()
    expect((await third)?.client_name).toBe('Client')
    expect(fetched).toHaveLength(4)
  })

  it('R32: eight documents are fetched at once, and no ninth', async () => {
    const { documents, fetched, release } = setUpSlow()
    const eight = Array.from({ length: 8 }, (_, index) =>
      documents.findMetadata(`https://client${index}.example/c.json`),
    )
    expect(await refusal(documents.findMetadata('https://client9.example/c.json'))).toEqual(unavailable)
    expect(fetched).toHaveLength(8)
    release()
    await Promise.all(eight)
    const ninth = documents.findMetadata('https://client9.example/c.json')
    release()
    expect((await ninth)?.client_name).toBe('Client')
  })
})

describe('over the network', () => {
  const hosts: DocumentHost[] = []
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map(host => host.close()))
  })

  it('R28–R32: a document on this machine is read once tests allow it, and not otherwise', async () => {
    const host = await createDocumentHost()
    hosts.push(host)
    const address = `${host.origin}/client.json`
    host.answer((_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ ...valid, client_id: address })),
    )
    const options = { clock: () => 1_800_000_000, schemes: [], ca: host.ca }
    expect(createMetadataDocuments(options).isDocumentUrl(address)).toBe(false)
    expect(await refusal(createMetadataDocuments(options).findMetadata(address))).toEqual(unavailable)
    expect(host.connections()).toBe(0)
    const documents = createMetadataDocuments({ ...options, allowLoopback: true })
    expect((await documents.findMetadata(address))?.client_name).toBe('Client')
    expect((await documents.findMetadata(address))?.client_name).toBe('Client')
    expect(host.requests).toEqual(['/client.json'])
  })

  it('R38: whether a port is open, closed or forbidden, the answer is the same', async () => {
    const [open, closed] = [await createDocumentHost(), await createDocumentHost()]
    hosts.push(open)
    open.answer((_, response) =>
      response.writeHead(200, { 'content-type': 'text/plain' }).end('SSH-2.0-canary'),
    )
    await closed.close()
    const documents = createMetadataDocuments({
      clock: () => 1_800_000_000,
      schemes: [],
      allowLoopback: true,
      ca: open.ca,
    })
    for (const address of [`${open.origin}/x`, `${closed.origin}/x`, 'https://10.0.0.1/x']) {
      expect(await refusal(documents.findMetadata(address))).toEqual(unavailable)
    }
  })
})
