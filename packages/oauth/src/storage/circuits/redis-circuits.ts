import { scripts } from '../lua.generated.ts'
import { recordSchemas } from '../records.ts'
import { recordToText } from '../redis-records.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { CircuitStore } from './circuit-store.ts'

export function createRedisCircuits({ keys, commands, put, parse, parseNumbered }: RedisSteps): CircuitStore {
  return {
    async findCircuit({ id, now }) {
      const value = await commands.read(client => client.get(keys.circuit(id)))
      const found = parseNumbered('circuit', value)
      if (!found || found.second <= now) return undefined
      return parse('circuit', recordSchemas.circuit, () => ({
        ...JSON.parse(found.record),
        generation: found.first,
      }))
    },
    async replaceCircuit({ record, generation, now }) {
      const [outcome] = await put(
        'circuit',
        scripts.replaceCircuit,
        [keys.circuit(record.id)],
        [now, record.expiresAt, recordToText(record), generation],
      )
      return outcome as 'replaced' | 'stale'
    },
  }
}
