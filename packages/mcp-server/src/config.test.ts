import { ConfigurationError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { loadConfig, type Settings } from './config.ts'
import { type Environment, unknownVariables } from './environment.ts'

describe('loadConfig', () => {
  it('a developer who sets nothing gets a loopback server with a file store', () => {
    expect(loadConfig({}, {})).toEqual({
      production: false,
      port: 3000,
      host: '127.0.0.1',
      publicUrl: undefined,
      secrets: undefined,
      directory: '.sallyport',
      trustedProxies: [],
      auditPath: undefined,
      token: undefined,
      transport: 'http',
      sessionProvider: 'file',
      redisWaitFor: 'none',
      sandbox: 'default',
      lifetimes: {
        authorizationCodeSeconds: 600,
        accessTokenSeconds: 900,
        refreshTokenSeconds: 86_400,
        sessionMaxAgeSeconds: 2_592_000,
        refreshGraceSeconds: 10,
      },
      externalTokenSeconds: 5_184_000,
      accessTokenFormat: 'jwt',
      signingAlgorithm: 'ES256',
      rateLimit: 1,
      metadataDocumentsOnLoopback: false,
      logLevel: 'info',
    })
  })

  it('every variable arrives', () => {
    expect(
      loadConfig(
        {},
        {
          NODE_ENV: 'production',
          PORT: '8080',
          HOST: '10.0.0.1',
          PUBLIC_URL: 'https://mcp.example.com',
          SALLYPORT_SECRET: 'new, old',
          SALLYPORT_DIR: '/data',
          SALLYPORT_TRUSTED_PROXIES: '10.0.0.1, 2001:db8::/32,',
          SALLYPORT_AUDIT_LOG: '/log/audit.jsonl',
          SALLYPORT_TOKEN: 'eyJ.eyJ.sig_-',
          SALLYPORT_TRANSPORT: 'stdio',
          SESSION_PROVIDER: 'memory',
          OAUTH_SANDBOX: 'team-a',
          OAUTH_AUTH_CODE_TTL: '60',
          OAUTH_ACCESS_TOKEN_TTL: '61',
          OAUTH_REFRESH_TOKEN_TTL: '62',
          OAUTH_SESSION_MAX_AGE: '0',
          OAUTH_REFRESH_GRACE: '5',
          OAUTH_EXTERNAL_TOKEN_TTL: '3600',
          OAUTH_ACCESS_TOKEN_FORMAT: 'opaque',
          OAUTH_SIGNING_ALG: 'EdDSA',
          OAUTH_RATE_LIMIT: '2.5',
          LOG_LEVEL: 'debug',
        },
      ),
    ).toEqual({
      production: true,
      port: 8080,
      host: '10.0.0.1',
      publicUrl: 'https://mcp.example.com',
      secrets: ['new', 'old'],
      directory: '/data',
      trustedProxies: ['10.0.0.1', '2001:db8::/32'],
      auditPath: '/log/audit.jsonl',
      token: 'eyJ.eyJ.sig_-',
      transport: 'stdio',
      sessionProvider: 'memory',
      redisWaitFor: 'none',
      sandbox: 'team-a',
      lifetimes: {
        authorizationCodeSeconds: 60,
        accessTokenSeconds: 61,
        refreshTokenSeconds: 62,
        sessionMaxAgeSeconds: 0,
        refreshGraceSeconds: 5,
      },
      externalTokenSeconds: 3600,
      accessTokenFormat: 'opaque',
      signingAlgorithm: 'EdDSA',
      rateLimit: 2.5,
      metadataDocumentsOnLoopback: false,
      logLevel: 'debug',
    })
  })

  it('code wins over the environment, and a variable set to nothing is not set', () => {
    const config = loadConfig(
      { port: 0, secrets: ['one'] },
      { PORT: '1', LOG_LEVEL: ' ', SALLYPORT_SECRET: 'x' },
    )
    expect(config).toMatchObject({ port: 0, secrets: ['one'], logLevel: 'info' })
  })

  it('R193: all interfaces only when the public URL is somewhere else', () => {
    expect(loadConfig({ publicUrl: 'https://mcp.example.com' }, {}).host).toBeUndefined()
    expect(loadConfig({ publicUrl: 'http://localhost:4000' }, {}).host).toBe('127.0.0.1')
  })

  it('one slash at the end of the public URL is no reason to refuse it', () => {
    expect(loadConfig({ publicUrl: 'https://mcp.example.com/' }, {}).publicUrl).toBe(
      'https://mcp.example.com',
    )
  })

  it.each<[string, Environment, RegExp]>([
    ['a port that is no number', { PORT: '3000x' }, /^PORT must be a whole number from 0 to 65535\.$/],
    ['a port out of range', { PORT: '65536' }, /^PORT must/],
    ['a port in another notation', { PORT: '1e3' }, /^PORT must/],
    ['a host with a port', { HOST: 'http://localhost' }, /^HOST must/],
    ['R197: plain http in public', { PUBLIC_URL: 'http://mcp.example.com' }, /^PUBLIC_URL must be https/],
    [
      'a public URL of another scheme',
      { PUBLIC_URL: 'ftp://mcp.example.com' },
      /^PUBLIC_URL must be an https URL/,
    ],
    ['a public URL that is none', { PUBLIC_URL: 'mcp.example.com' }, /^PUBLIC_URL must be an https URL/],
    ['a public URL with a path', { PUBLIC_URL: 'https://example.com/mcp' }, /^PUBLIC_URL must be an origin/],
    ['a public URL with a query', { PUBLIC_URL: 'https://example.com/?a' }, /^PUBLIC_URL must be an origin/],
    ['a public URL with a user', { PUBLIC_URL: 'https://u@example.com' }, /^PUBLIC_URL must be an origin/],
    [
      'a public URL with a default port',
      { PUBLIC_URL: 'https://example.com:443' },
      /^PUBLIC_URL must be an origin/,
    ],
    ['a public URL in upper case', { PUBLIC_URL: 'https://Example.com' }, /^PUBLIC_URL must be an origin/],
    ['a lifetime with a unit', { OAUTH_ACCESS_TOKEN_TTL: '15m' }, /^OAUTH_ACCESS_TOKEN_TTL must/],
    ['a negative lifetime', { OAUTH_REFRESH_TOKEN_TTL: '-1' }, /^OAUTH_REFRESH_TOKEN_TTL must/],
    ['R105: an endless grace', { OAUTH_REFRESH_GRACE: '86400' }, /^OAUTH_REFRESH_GRACE must/],
    [
      'an unknown wait',
      { SESSION_REDIS_URL: 'redis://redis', SESSION_REDIS_WAIT_FOR: '1' },
      /^SESSION_REDIS_WAIT_FOR must be one of none, replica, disk, replica-disk/,
    ],
    [
      'a wait without a Redis',
      { SESSION_REDIS_WAIT_FOR: 'replica' },
      /^SESSION_REDIS_WAIT_FOR has no effect/,
    ],
    [
      'an unknown format',
      { OAUTH_ACCESS_TOKEN_FORMAT: 'JWE' },
      /^OAUTH_ACCESS_TOKEN_FORMAT must be one of jwt/,
    ],
    ['an unknown algorithm', { OAUTH_SIGNING_ALG: 'none' }, /^OAUTH_SIGNING_ALG must be one of ES256/],
    [
      'an unknown store',
      { SESSION_PROVIDER: 'mongo' },
      /^SESSION_PROVIDER must be one of file, memory, redis\.$/,
    ],
    ['Redis without an address', { SESSION_PROVIDER: 'redis' }, /: set SESSION_REDIS_URL/],
    [
      'an address nobody would use',
      { SESSION_PROVIDER: 'file', SESSION_REDIS_URL: 'redis://x' },
      /^SESSION_REDIS_URL has no effect/,
    ],
    ['a comma too many', { SALLYPORT_SECRET: `${'s3cret-'.repeat(6)},` }, /^SALLYPORT_SECRET has a comma/],
    ['a sandbox with a separator', { OAUTH_SANDBOX: 'a:b' }, /^OAUTH_SANDBOX must/],
    [
      'R197: a proxy by name',
      { SALLYPORT_TRUSTED_PROXIES: 'proxy.internal' },
      /^SALLYPORT_TRUSTED_PROXIES must/,
    ],
    [
      'R197: a network too long',
      { SALLYPORT_TRUSTED_PROXIES: '10.0.0.0/33' },
      /^SALLYPORT_TRUSTED_PROXIES must/,
    ],
    ['R197: every address', { SALLYPORT_TRUSTED_PROXIES: '0.0.0.0/0' }, /^SALLYPORT_TRUSTED_PROXIES must/],
    ['R197: everybody as a proxy', { SALLYPORT_TRUSTED_PROXIES: '*' }, /^SALLYPORT_TRUSTED_PROXIES must/],
    [
      'R197: one bad proxy of two',
      { SALLYPORT_TRUSTED_PROXIES: '10.0.0.1,::1/129' },
      /^SALLYPORT_TRUSTED_PROXIES must/,
    ],
    ['a rate limit that is no number', { OAUTH_RATE_LIMIT: 'off' }, /^OAUTH_RATE_LIMIT must/],
    ['no limits in production', { NODE_ENV: 'production', OAUTH_RATE_LIMIT: '0' }, /^OAUTH_RATE_LIMIT is 0/],
    [
      'the test switch in production',
      { NODE_ENV: 'production', OAUTH_CIMD_LOOPBACK: '1' },
      /^OAUTH_CIMD_LOOPBACK is/,
    ],
    [
      'a switch that is neither on nor off',
      { OAUTH_CIMD_LOOPBACK: 'yes' },
      /^OAUTH_CIMD_LOOPBACK must be 0 or 1/,
    ],
    [
      'an unknown transport',
      { SALLYPORT_TRANSPORT: 'sse' },
      /^SALLYPORT_TRANSPORT must be one of http, stdio/,
    ],
    ['two tokens', { SALLYPORT_TOKEN: 'one, two' }, /^SALLYPORT_TOKEN must be one access token/],
    ['an unknown level', { LOG_LEVEL: 'loud' }, /^LOG_LEVEL must be one of/],
  ])('%s: one sentence that names the variable', (_, environment, message) => {
    const load = () => loadConfig({}, environment)
    expect(load).toThrow(ConfigurationError)
    expect(load).toThrow(message)
  })

  it('code is checked as the environment is', () => {
    expect(() => loadConfig({ trustedProxies: ['10.0.0.0/-1'] }, {})).toThrow(
      /^SALLYPORT_TRUSTED_PROXIES must/,
    )
    expect(() => loadConfig({ port: 1.5 }, {})).toThrow(ConfigurationError)
    expect(() => loadConfig({ sessionProvider: 'mongo' } as unknown as Settings, {})).toThrow(
      ConfigurationError,
    )
  })
})

describe('the store', () => {
  it('an address of a Redis is enough to keep sessions there', () => {
    const { sessionProvider, redisUrl } = loadConfig({}, { SESSION_REDIS_URL: 'redis://10.0.0.1' })
    expect([sessionProvider, redisUrl]).toEqual(['redis', 'redis://10.0.0.1'])
  })

  it('waits for a replica where it was told to, in code or by variable', () => {
    const environment = { SESSION_REDIS_URL: 'redis://10.0.0.1', SESSION_REDIS_WAIT_FOR: 'replica' }
    expect(loadConfig({}, environment).redisWaitFor).toBe('replica')
    expect(loadConfig({ redisWaitFor: 'disk' }, environment).redisWaitFor).toBe('disk')
  })
})

describe('unknownVariables', () => {
  it('finds the typo that would otherwise have no effect', () => {
    const typos = { OAUTH_ACESS_TOKEN_TTL: '1', SALLYPORT_SECRETS: 'x', SESSION_REDIS_URI: 'redis://x' }
    // Programs of others have names of their own, which begin so too.
    const environment = { ...typos, OAUTH_SANDBOX: 'a', SESSION_MANAGER: 'x', PATH: '/' }
    expect(unknownVariables(environment)).toEqual(Object.keys(typos))
  })
})
