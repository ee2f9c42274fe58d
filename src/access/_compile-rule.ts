/** From the tree of a rule to a function that is asked on every request: nothing is parsed or looked up by then. */
import type { Caller, Target } from './caller.ts'
import { type Check, RuleFault, type Template } from './_rule-language.ts'
import { didYouMean } from '../schema/find-faults.ts'

export type Ask = (caller: Caller, target: Target) => boolean

type Attribute = (caller: Caller) => string | readonly string[] | boolean | null | undefined

const user: Attribute = ({ userId }) => userId
const project: Attribute = ({ projectId }) => projectId
const domain: Attribute = ({ domainId }) => domainId
const projectDomain: Attribute = ({ projectDomainId }) => projectDomainId

/** What rules may ask of the caller. Source: oslo.context's policy values, their old names, and Keystone's. */
const ATTRIBUTES: Readonly<Record<string, Attribute>> = {
  user_id: user,
  user,
  'token.user.id': user,
  project_id: project,
  tenant_id: project,
  tenant: project,
  project,
  owner: project,
  'token.project.id': project,
  domain_id: domain,
  user_domain_id: ({ userDomainId }) => userDomainId,
  project_domain_id: projectDomain,
  'token.domain.id': domain,
  'token.project.domain.id': projectDomain,
  roles: ({ roles }) => roles,
  service_roles: ({ serviceRoles }) => serviceRoles,
  system_scope: ({ isSystemScoped }) => (isSystemScoped === true ? 'all' : null),
  is_admin: ({ isAdmin }) => isAdmin,
}

/** `ruleOf` gives the function of another rule, which stands at that place of this one. Throws RuleFault. */
export function compileRule(check: Check, ruleOf: (name: string, at: number) => Ask): Ask {
  switch (check.kind) {
    case 'always':
      return () => true
    case 'never':
      return () => false
    case 'not': {
      const ask = compileRule(check.check, ruleOf)
      return (caller, target) => !ask(caller, target)
    }
    case 'and':
      return check.checks.map((one) => compileRule(one, ruleOf)).reduceRight(both)
    case 'or':
      return check.checks.map((one) => compileRule(one, ruleOf)).reduceRight(either)
    case 'rule':
      return ruleOf(check.name, check.at)
    case 'role':
      return compileRole(check.template)
    case 'literal': {
      const { value } = check
      const expand = compileTemplate(check.template)
      return (_caller, target) => expand(target) === value
    }
    default:
      return compileAttribute(check.name, check.template, check.at)
  }
}

const both = (right: Ask, left: Ask): Ask => {
  return (caller, target) => left(caller, target) && right(caller, target)
}
const either = (right: Ask, left: Ask): Ask => {
  return (caller, target) => left(caller, target) || right(caller, target)
}

function compileRole(template: Template): Ask {
  const expand = compileTemplate(template)
  const [only] = template
  if (template.length === 1 && typeof only === 'string') {
    const role = only.toLowerCase()
    return ({ roles }) => roles.includes(role)
  }
  return ({ roles }, target) => {
    const role = expand(target)
    return role !== undefined && roles.includes(role.toLowerCase())
  }
}

/** An attribute that the caller does not have is equal to nothing, not even to one that the target does not have. */
function compileAttribute(name: string, template: Template, at: number): Ask {
  const attribute = Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name] : undefined
  if (attribute === undefined)
    throw new RuleFault(
      at,
      `nobody who asks has a '${name}'${didYouMean(name, Object.keys(ATTRIBUTES))}`,
    )
  const expand = compileTemplate(template)
  return (caller, target) => {
    const mine = attribute(caller)
    if (mine === null || mine === undefined) return false
    const wanted = expand(target)
    if (typeof mine === 'string') return mine === wanted
    if (typeof mine === 'boolean') return toText(mine) === wanted
    return wanted !== undefined && mine.includes(wanted)
  }
}

/** The text of a template; undefined when the target lacks what it names, and then the check is false. */
function compileTemplate(template: Template): (target: Target) => string | undefined {
  const [only] = template
  if (template.length === 1 && typeof only === 'string') return () => only
  if (template.length === 1 && typeof only === 'object') return readerOf(only.attribute)
  const parts = template.map((part) =>
    typeof part === 'string' ? () => part : readerOf(part.attribute),
  )
  return (target) => {
    let text = ''
    for (const part of parts) {
      const piece = part(target)
      if (piece === undefined) return undefined
      text += piece
    }
    return text
  }
}

function readerOf(attribute: string): (target: Target) => string | undefined {
  const path = attribute.split('.')
  return (target) => {
    const value = Object.hasOwn(target, attribute) ? target[attribute] : readFurther(target, path)
    return typeof value === 'string' ? value : toText(value)
  }
}

/** An attribute of an attribute; or a property of an image, which rules name like what is its own. */
function readFurther(target: Target, path: readonly string[]): unknown {
  let value: unknown = target
  for (const key of path) value = readOwn(value, key)
  return value ?? readOwn(target['properties'], path.join('.'))
}

function readOwn(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key]
}

/** As Python prints it, since rules are written for that. */
function toText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value
    case 'boolean':
      return value ? 'True' : 'False'
    case 'number':
    case 'bigint':
      return String(value)
    default:
      return value === null ? 'None' : undefined
  }
}
