/** How much may wait for one reader, in bytes: hundreds of notifications. */
const maxUnread = 65_536

/**
 * The same stream, as an answer that goes on for as long as somebody listens. What writes it does not wait for its reader:
 * what comes is taken at once, and when too much waits the stream ends behind it, before those who do not read fill the
 * memory (R196). Clients come back.
 *
 * @param onOver called once: it was read to its end, nobody reads it any more, or its reader is too slow
 * @param limit in bytes, of more than one piece. Default 65536
 */
export function boundUnread(
  body: ReadableStream<Uint8Array>,
  onOver: () => void = () => {},
  limit: number = maxUnread,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  const waiting: Uint8Array[] = []
  let unread = 0
  let isOver = false
  let wake = () => {}
  const end = () => {
    if (isOver) return
    isOver = true
    wake()
    onOver()
  }
  const takeIn = async () => {
    while (!isOver) {
      const { done, value } = await reader.read()
      if (done) return
      waiting.push(value)
      unread += value.byteLength
      wake()
      if (unread > limit && waiting.length > 1) return reader.cancel()
    }
  }
  // A stream that breaks has ended, like any other.
  void takeIn().then(end, end)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (waiting.length === 0 && !isOver) {
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
        const next = waiting.shift()
        if (!next) return controller.close()
        unread -= next.byteLength
        controller.enqueue(next)
      },
      cancel(reason) {
        end()
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
