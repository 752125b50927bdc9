import { createHmac, timingSafeEqual } from 'node:crypto'
import type { RequestId } from '@modelcontextprotocol/server'

/** JSON-RPC ids of the questions of one session, as its client knows them. */
export interface QuestionIds {
  /** The id of a question of this process, of which its server object knows a number. */
  of(number: RequestId): string
  /** The number again; undefined when it is no question of this process. */
  numberOf(id: RequestId): number | undefined
  /** Whether some process asked it in this session. */
  isOurs(id: RequestId): boolean
}

const form = /^([\w-]{8})\.(\d{1,15})\.([\w-]{22})$/

/**
 * A session may be served by several processes, each with a server object that counts its requests from 0: the name of
 * the process in front keeps them apart. The seal behind is for questions that were asked: what another process is to
 * have is kept in the store, and nobody may fill it with answers to nothing (R22).
 *
 * @param key names session and principal; no client knows it
 */
export function createQuestionIds(key: string, replica: string): QuestionIds {
  const sealOf = (asked: string) =>
    createHmac('sha256', key).update(asked).digest().subarray(0, 16).toString('base64url')
  const read = (id: RequestId) => {
    const [, maker, number, seal] = form.exec(String(id)) ?? []
    if (maker === undefined || number === undefined || seal === undefined) return undefined
    const expected = sealOf(`${maker}.${number}`)
    return timingSafeEqual(Buffer.from(seal), Buffer.from(expected)) ? { maker, number } : undefined
  }
  return {
    of: number => `${replica}.${number}.${sealOf(`${replica}.${number}`)}`,
    numberOf(id) {
      const question = read(id)
      return question?.maker === replica ? Number(question.number) : undefined
    },
    isOurs: id => read(id) !== undefined,
  }
}
