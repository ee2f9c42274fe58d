/** Who may touch which properties of images: Glance's property protection files, as they are. */
import { readFile } from 'node:fs/promises'
import { asFileFailure, Failure } from '../base/failure.ts'
import { didYouMean } from '../schema/find-faults.ts'
import { type IniFault, type IniSection, parseIni } from './_ini.ts'
import { parsePattern } from './_python-pattern.ts'
import type { Caller, Policy } from './caller.ts'
import type { PropertyAction, PropertyProtections } from './protections.ts'

export interface ProtectionOptions {
  readonly file?: string | undefined
  /** What the file lists: roles (the default), or one rule of the policy for each action. */
  readonly by?: 'roles' | 'policies' | undefined
}

const ACTIONS: readonly PropertyAction[] = ['create', 'read', 'update', 'delete']

/** Who may: anyone, nobody, who has one of the roles, or whom a rule allows. */
type Permission =
  | { readonly who: 'anyone' | 'nobody' }
  | { readonly who: 'roles'; readonly roles: ReadonlySet<string> }
  | { readonly who: 'rule'; readonly rule: string }

interface Protection {
  readonly pattern: RegExp
  readonly permissions: Readonly<Record<PropertyAction, Permission>>
}

/**
 * Reads the file. Sections are patterns, and the first that is found in the name of a property counts; a property
 * that none is found in is nobody's. Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export async function openProtections(
  { file, by = 'roles' }: ProtectionOptions,
  policy: Policy,
): Promise<PropertyProtections> {
  if (file === undefined) return { active: false, allows: () => true }
  const protections = parseProtections(await readText(file), by, file)
  const faults = rulesOf(protections)
    .filter((rule) => !policy.rules.has(rule))
    .map((rule) => `there is no rule ${rule}${didYouMean(rule, [...policy.rules.keys()])}`)
  if (faults.length > 0) throw invalid(file, faults)
  return makeProtections(protections, policy)
}

/** The rules of the policy that the file asks. */
export async function readProtectionRules({ file, by }: ProtectionOptions): Promise<string[]> {
  if (file === undefined || by !== 'policies') return []
  return rulesOf(parseProtections(await readText(file), by, file))
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    throw asFileFailure(error, file)
  })
}

function rulesOf(protections: readonly Protection[]): string[] {
  const permissions = protections.flatMap((one) => Object.values(one.permissions))
  return permissions.flatMap((one) => (one.who === 'rule' ? [one.rule] : []))
}

/** Names of properties are the users' choice: so many are remembered. */
const MAX_REMEMBERED = 10_000

function makeProtections(protections: readonly Protection[], policy: Policy): PropertyProtections {
  const found = new Map<string, Protection | undefined>()
  const find = (property: string): Protection | undefined => {
    if (found.has(property)) return found.get(property)
    const protection = protections.find(({ pattern }) => pattern.test(property))
    if (found.size >= MAX_REMEMBERED) found.clear()
    found.set(property, protection)
    return protection
  }
  return {
    active: true,
    allows: (action, property, caller) => {
      const permission = find(property)?.permissions[action]
      return permission !== undefined && isGranted(permission, caller, policy)
    },
  }
}

function isGranted(permission: Permission, caller: Caller, policy: Policy): boolean {
  switch (permission.who) {
    case 'anyone':
      return true
    case 'nobody':
      return false
    case 'rule':
      return policy.allows(permission.rule, caller)
    default: {
      const has = (role: string) => permission.roles.has(role)
      return caller.roles.some(has) || caller.serviceRoles.some(has)
    }
  }
}

/** Fails with CONFIG_INVALID, which tells every fault with its line. */
export function parseProtections(
  text: string,
  by: 'roles' | 'policies',
  file = 'the property protections',
): readonly Protection[] {
  const { sections, faults } = parseIni(text)
  const protections = sections.map((section) => toProtection(section, by, faults))
  if (faults.length === 0) return protections.filter((one) => one !== undefined)
  throw invalid(
    file,
    faults.map(({ line, message }) => `line ${line}: ${message}`),
  )
}

function toProtection(
  { name, line, options }: IniSection,
  by: 'roles' | 'policies',
  faults: IniFault[],
): Protection | undefined {
  const known = ACTIONS as readonly string[]
  for (const [key, option] of options)
    if (!known.includes(key))
      faults.push({ line: option.line, message: `no action '${key}'${didYouMean(key, known)}` })
  const permissions = ACTIONS.map((action): [PropertyAction, Permission] => {
    const option = options.get(action)
    if (option === undefined)
      faults.push({ line, message: `[${name}] does not say who may ${action}` })
    return [action, toPermission(option ?? { line, value: '!' }, by, faults)]
  })
  try {
    const pattern = parsePattern(name)
    return { pattern, permissions: Object.fromEntries(permissions) as Protection['permissions'] }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    faults.push({ line, message: `[${name}] is no pattern: ${error.message}` })
    return undefined
  }
}

function toPermission(
  { line, value }: { readonly line: number; readonly value: string },
  by: 'roles' | 'policies',
  faults: IniFault[],
): Permission {
  const names = value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (names.includes('@') && names.includes('!'))
    faults.push({ line, message: '@ (anyone) and ! (nobody) cannot stand together' })
  if (by === 'policies' && names.length > 1)
    faults.push({ line, message: `wanted one rule of the policy, found ${names.length}` })
  const [first] = names
  if (first === undefined || names.includes('!')) return { who: 'nobody' }
  if (names.includes('@')) return { who: 'anyone' }
  if (by === 'policies') return { who: 'rule', rule: first }
  return { who: 'roles', roles: new Set(names.map((name) => name.toLowerCase())) }
}

function invalid(file: string, faults: readonly string[]): Failure {
  return new Failure('CONFIG_INVALID', `${file}: ${faults.join('; ')}`, { details: { faults } })
}
