/** What comes on a stream that was listened to. */
export interface Message {
  id?: unknown
  method?: string
  params?: {
    notifications?: object
    taskId?: string
    status?: string
    statusMessage?: string
    inputRequests?: object
    result?: object
    _meta?: object
  }
  result?: object
}

/** Messages of a stream as they come. */
export function heardOn(response: Response) {
  const heard: Message[] = []
  const state = { over: false }
  const read = async () => {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const bytes of response.body!) {
      const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1]
        if (data) heard.push(JSON.parse(data))
      }
    }
  }
  const ended = read()
    .catch(() => {})
    .finally(() => {
      state.over = true
    })
  return { heard, state, ended }
}
