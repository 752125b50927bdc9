import type { Circuit } from '../records.ts'

export interface CircuitStore {
  findCircuit(step: { id: string; now: number }): Promise<Circuit | undefined>
  /**
   * Writes only when the stored generation is still `generation` (0: when there is none); the record then carries
   * `generation + 1`. The same write sent again counts once.
   */
  replaceCircuit(step: {
    record: Omit<Circuit, 'generation'>
    generation: number
    now: number
  }): Promise<'replaced' | 'stale'>
}
