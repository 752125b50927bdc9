export type { OpenApiOptions, OpenApiTools } from './openapi/openapi-tools.ts'
export { openApiTools } from './openapi/openapi-tools.ts'
