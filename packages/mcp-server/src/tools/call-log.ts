import type { Call, CallLog, ToolLog } from './call-context.ts'

const logLevelKey = 'io.modelcontextprotocol/logLevel'

/** The log of one call, over that of the server. */
export function createCallLog(log: ToolLog, call: Call): CallLog {
  const wanted = (call.params._meta as Record<string, unknown> | undefined)?.[logLevelKey]
  return {
    debug: log.debug.bind(log) as ToolLog['debug'],
    info: log.info.bind(log) as ToolLog['info'],
    warn: log.warn.bind(log) as ToolLog['warn'],
    error: log.error.bind(log) as ToolLog['error'],
    async toClient(level, data, logger) {
      if (call.background || (call.era === 'modern' && wanted === undefined)) return
      const { mcpReq } = await call.client()
      await mcpReq.log(level, data, logger)
    },
  }
}
