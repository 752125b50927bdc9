import { z } from 'zod'
import type { Protection, Target } from './declare.ts'

/** What schemas can say. */
export function addSchemas(server: Target, auth: Protection): void {
  server.tool('json_schema_2020_12_tool', {
    description: 'Takes what a JSON Schema of 2020-12 describes, which reaches clients as it stands here.',
    input: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    auth,
    run: contact => contact,
  })
  server.tool('test_x_mcp_header', {
    description: 'Takes a region that clients repeat in a header, so that a proxy can route by it.',
    input: z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }) }),
    auth,
    run: ({ region }) => `Region: ${region}`,
  })
}
