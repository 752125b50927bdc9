export const users = ['ada', 'bob'] as const
export type Who = (typeof users)[number]

/** The other one of the two. */
export const otherThan = (who: Who): Who => (who === 'ada' ? 'bob' : 'ada')

const steps = ['progress', 'log', 'ask'] as const

/** What a call does: it tells its progress, logs, or asks its user. */
export type Step = (typeof steps)[number]

/** One call of one user, as it was drawn. Both users make the same calls under the same ids, but give up others. */
export interface Call {
  name: string
  who: Who
  round: number
  steps: readonly Step[]
  /** The step at which its user gives it up: when told of it, or when asked. Undefined: never. */
  givenUpAt: number | undefined
  /** Whether the other user tries to get at it while it asks. */
  disturbed: boolean
  /** Its user has given it up. */
  isGivenUp: boolean
  /** Resolves when the tool was told so. */
  aborted: Promise<void>
  onAborted: () => void
}

/** Draws the calls of both users, by round. */
export function drawCalls(rounds: number, random: () => number): Map<number, Record<Who, Call>> {
  const below = (limit: number) => Math.floor(random() * limit)
  return new Map(
    Array.from({ length: rounds }, (_, index) => {
      const round = index + 1
      const drawn = Array.from({ length: 1 + below(3) }, () => steps[below(steps.length)] ?? 'ask')
      const callOf = (who: Who): Call => {
        let onAborted = () => {}
        const aborted = new Promise<void>(resolve => {
          onAborted = resolve
        })
        return {
          name: `${who} ${round}`,
          who,
          round,
          steps: drawn,
          givenUpAt: random() < 0.3 ? below(drawn.length) : undefined,
          disturbed: random() < 0.3,
          isGivenUp: false,
          aborted,
          onAborted,
        }
      }
      return [round, { ada: callOf('ada'), bob: callOf('bob') }]
    }),
  )
}
