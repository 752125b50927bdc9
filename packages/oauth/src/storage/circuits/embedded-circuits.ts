import type { EmbeddedSteps } from '../embedded-steps.ts'
import { isSameWrite } from '../is-same-write.ts'
import { recordSchemas } from '../records.ts'
import type { CircuitStore } from './circuit-store.ts'

export function createEmbeddedCircuits({ keeper, write, read, find }: EmbeddedSteps): CircuitStore {
  return {
    findCircuit: ({ id, now }) => read(() => find('circuit', recordSchemas.circuit, id, now)),
    replaceCircuit: ({ record, generation, now }) =>
      write(() => {
        const before = find('circuit', recordSchemas.circuit, record.id, now)
        if ((before?.generation ?? 0) !== generation) {
          return before?.generation === generation + 1 && isSameWrite(before, record) ? 'replaced' : 'stale'
        }
        const value = JSON.stringify({ ...record, generation: generation + 1 })
        keeper.put('circuit', record.id, { value, expiresAt: record.expiresAt }, now)
        return 'replaced'
      }),
  }
}
