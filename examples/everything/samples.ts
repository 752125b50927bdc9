import { Buffer } from 'node:buffer'

const bytes = (base64: string): Uint8Array => Buffer.from(base64, 'base64')

/** One green pixel, as PNG. */
export const pixel: Uint8Array = bytes(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNg+M8AAAICAQBF9FLUAAAAAElFTkSuQmCC',
)

/** A millisecond of silence, as WAV. */
export const silence: Uint8Array = bytes(
  'UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA==',
)
