/** Thrown by a tool to tell the model what went wrong. The message is shown to it and to the user as it stands. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
}
