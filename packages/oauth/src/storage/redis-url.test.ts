import { describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import { parseRedisUrl } from './redis-url.ts'

const node = (host: string, port = 6379) => ({ host, port })

describe('SESSION_REDIS_URL', () => {
  it.each([
    ['redis://localhost', { kind: 'standalone', tls: false, db: 0, nodes: [node('localhost')] }],
    ['redis://10.0.0.1:6380/3', { kind: 'standalone', tls: false, db: 3, nodes: [node('10.0.0.1', 6380)] }],
    ['rediss://redis.example/', { kind: 'standalone', tls: true, db: 0, nodes: [node('redis.example')] }],
    ['redis://[::1]:6379', { kind: 'standalone', tls: false, db: 0, nodes: [node('::1')] }],
    [
      'redis://:p%40ss%2Fword@h',
      { kind: 'standalone', tls: false, db: 0, nodes: [node('h')], password: 'p@ss/word' },
    ],
    [
      'redis://sally:p:w@h:1',
      { kind: 'standalone', tls: false, db: 0, nodes: [node('h', 1)], username: 'sally', password: 'p:w' },
    ],
    [
      'redis+sentinel://a,b:5000/main/2',
      {
        kind: 'sentinel',
        tls: false,
        db: 2,
        nodes: [node('a', 26379), node('b', 5000)],
        masterName: 'main',
      },
    ],
    [
      'rediss+sentinel://u:p@a/main',
      {
        kind: 'sentinel',
        tls: true,
        db: 0,
        nodes: [node('a', 26379)],
        masterName: 'main',
        username: 'u',
        password: 'p',
      },
    ],
    [
      'redis://u:p@a:7000,b:7001,c',
      {
        kind: 'cluster',
        tls: false,
        db: 0,
        nodes: [node('a', 7000), node('b', 7001), node('c')],
        username: 'u',
        password: 'p',
      },
    ],
    ['rediss://a,rediss://b', { kind: 'cluster', tls: true, db: 0, nodes: [node('a'), node('b')] }],
    ['redis+cluster://a', { kind: 'cluster', tls: false, db: 0, nodes: [node('a')] }],
  ])('%s', (url, target) => {
    expect(parseRedisUrl(url)).toEqual(target)
  })

  it.each([
    '',
    'localhost:6379',
    'http://canary@localhost',
    'redis://',
    'redis:///0',
    'redis://canary@localhost',
    'redis://:canary@host:0',
    'redis://:canary@host:65536',
    'redis://:canary@host:port',
    'redis://:canary@ho st',
    'redis://:canary@host/zero',
    'redis://:canary@host/1/2',
    'redis://:canary@host?db=1',
    'redis://:canary@host#1',
    'redis://:canary%@host',
    'redis://:canary@a,',
    'redis://:canary@a,b/1',
    'redis+sentinel://:canary@a,b',
    'redis+sentinel://:canary@a/main/db',
    'redis+unix://canary',
  ])('R192: %j is one sentence that says what to write, and shows no password', url => {
    expect(() => parseRedisUrl(url)).toThrow(ConfigurationError)
    expect(() => parseRedisUrl(url)).toThrow(/^SESSION_REDIS_URL .*redis:\/\/host:6379/)
    expect(() => parseRedisUrl(url)).not.toThrow(/canary/)
  })
})
