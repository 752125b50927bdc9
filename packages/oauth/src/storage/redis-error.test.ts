import { describe, expect, it } from 'vitest'
import { isPassing, isUnanswered, redisErrorCode, redisUnavailable } from './redis-error.ts'

const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' })
const system = (code: string) => Object.assign(new Error(`connect ${code} 10.0.0.1:6379`), { code })

describe('failures of Redis', () => {
  it.each([
    [reply("READONLY You can't write against a read only replica."), 'READONLY', true, false],
    [
      reply('ERR Error running script (call to f_a): @user_script:1: -READONLY You can not'),
      'READONLY',
      true,
      false,
    ],
    [reply('LOADING Redis is loading the dataset in memory'), 'LOADING', true, false],
    [reply('OOM command not allowed when used memory > maxmemory'), 'OOM', false, false],
    [reply('NOREPLICAS Not enough good replicas to write.'), 'NOREPLICAS', false, false],
    [reply("ERR The user executing the script can't publish to the channel"), 'NOPERM', false, false],
    [reply('WRONGPASS invalid username-password pair'), 'WRONGPASS', false, false],
    [reply('ERR user_script:3: attempt to compare nil with number'), 'ERR', false, false],
    [new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 1 h:1'), 'MOVED', true, false],
    [new Error('Command timed out'), 'timeout', true, true],
    [new Error('Connection is closed.'), 'connection', true, true],
    [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 'connection', true, true],
    [system('ECONNREFUSED'), 'ECONNREFUSED', true, true],
    [system('DEPTH_ZERO_SELF_SIGNED_CERT'), 'DEPTH_ZERO_SELF_SIGNED_CERT', false, false],
    ['text', 'unknown', false, false],
  ])('%s', (error, code, passes, unanswered) => {
    expect(redisErrorCode(error)).toBe(code)
    expect(isPassing(code)).toBe(passes)
    expect(isUnanswered(code)).toBe(unanswered)
  })

  it('R192: what is told of them is one word, never an argument', () => {
    const error = reply('ERR unknown command canary, with args beginning with: canary')
    expect(redisUnavailable(redisErrorCode(error))).toMatchObject({
      message: 'Redis could not answer (ERR)',
      cause: 'ERR',
    })
  })
})
