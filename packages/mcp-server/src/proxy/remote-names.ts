import { fitsAny } from '../composition/name-pattern.ts'
import { prefixName } from '../composition/prefix.ts'
import { isToolName } from '../tools/define-tool.ts'
import type { ProxySettings } from './proxy-options.ts'

const remoteName = /^[A-Za-z0-9_./-]{1,128}$/

/** Our name for a remote tool; undefined when there is to be none. */
export function ourName(
  { prefix, tools }: Pick<ProxySettings, 'prefix' | 'tools'>,
  name: string,
): string | undefined {
  if (!tools || !remoteName.test(name) || !isChosen(tools, name)) return undefined
  const renamed = Object.hasOwn(tools.rename, name) ? tools.rename[name]! : name
  const ours = prefix === undefined ? renamed : prefixName(prefix, renamed)
  return isToolName(ours) ? ours : undefined
}

/** The remote name of one of our tools; undefined when it is none of this remote server. */
export function theirName(
  settings: Pick<ProxySettings, 'prefix' | 'tools'>,
  ours: string,
): string | undefined {
  const { prefix, tools } = settings
  const start = prefix === undefined ? '' : prefixName(prefix, '')
  if (!tools || !ours.startsWith(start)) return undefined
  const inner = ours.slice(start.length)
  const name = Object.entries(tools.rename).find(([, renamed]) => renamed === inner)?.[0] ?? inner
  return ourName(settings, name) === ours ? name : undefined
}

/** Whether a remote tool that is not shown is missing: what is chosen not to be there is not. */
export const isWanted = ({ tools }: Pick<ProxySettings, 'tools'>, name: string): boolean =>
  !remoteName.test(name) || (tools !== undefined && isChosen(tools, name))

const isChosen = ({ include, exclude }: NonNullable<ProxySettings['tools']>, name: string): boolean =>
  fitsAny(include, name) && !fitsAny(exclude, name)
