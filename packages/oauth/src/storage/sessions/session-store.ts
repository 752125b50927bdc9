/** An event of a stream, sealed by whoever appended it. */
export interface StreamEvent {
  position: number
  sealed: string
}

/** MCP sessions: their ids say what they are, so that all there is to store is which have ended, and their streams. */
export interface SessionStore {
  /** Marks a session as ended, until its id would have ended anyway. */
  putEndedSession(step: { idHash: string; expiresAt: number; now: number }): Promise<void>
  isSessionEnded(step: { idHash: string; now: number }): Promise<boolean>
  /**
   * Keeps an event, and of its stream no more than the last `limit`. Whoever appends numbers the events, from 1 and
   * without a gap; what is kept at a position stays, whatever comes for it later.
   */
  appendEvent(step: {
    stream: string
    position: number
    sealed: string
    limit: number
    expiresAt: number
    now: number
  }): Promise<void>
  /** Events kept of a stream behind the position `after`, in order. */
  readEvents(step: { stream: string; after: number; now: number }): Promise<StreamEvent[]>
  /** Keeps that a session follows something; `full` when it follows `limit` others: nothing is stored. */
  putSubscription(step: {
    session: string
    idHash: string
    sealed: string
    limit: number
    expiresAt: number
    now: number
  }): Promise<'stored' | 'full'>
  deleteSubscription(step: { session: string; idHash: string; now: number }): Promise<void>
  /** What a session follows, each as it was sealed, in no particular order. */
  listSubscriptions(step: { session: string; now: number }): Promise<string[]>
}
