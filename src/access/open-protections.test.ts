import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import type { Caller } from './caller.ts'
import { openProtections, parseProtections } from './open-protections.ts'
import { makePolicy, openPolicy } from './policy.ts'
import type { PropertyAction, PropertyProtections } from './protections.ts'

const inDir = await tempDir()

function caller(roles: readonly string[], serviceRoles: readonly string[] = []): Caller {
  return { userId: 'u', projectId: 'p', roles, serviceRoles, isAdmin: false, requestId: 'r' }
}

let files = 0

async function open(text: string): Promise<PropertyProtections> {
  const file = inDir(`${++files}.conf`)
  await writeFile(file, text)
  return await openProtections({ file }, makePolicy())
}

/** The letters of what these roles may do with a property: create, read, update, delete. */
function allowed(protections: PropertyProtections, property: string, who: Caller): string {
  const actions: readonly PropertyAction[] = ['create', 'read', 'update', 'delete']
  return actions
    .filter((action) => protections.allows(action, property, who))
    .map((action) => action[0])
    .join('')
}

/** In the layout of the file that Glance brings as a sample. */
const BY_ROLES = `
# property-protections-roles.conf

[^x_.*]
create = admin,member,_member_
read = admin,member,_member_
update = admin,member,_member_
delete = admin,member,_member_

; only billing, which may forget nothing
[^x_billing_code_.*]
create = admin
read = admin
update = admin
delete = admin

[.*_owner_]
create: admin, Service
read:   @
update: !
delete:

[.*]
create = @
read = @
update = @
delete = admin,
    operator
`

describe('property protections by roles', () => {
  it('go by the first section that is found in the name of the property', async () => {
    const protections = await open(BY_ROLES)
    assert.ok(protections.active)
    assert.equal(allowed(protections, 'x_billing_code_1', caller(['member'])), 'crud')
    assert.equal(allowed(protections, 'x_a', caller(['reader'])), '')
    assert.equal(allowed(protections, 'other', caller(['reader'])), 'cru')
    assert.equal(allowed(protections, 'other', caller(['operator'])), 'crud')
  })

  it('know everybody (@), nobody (! or nothing), and roles in any case, also those of a service', async () => {
    const protections = await open(BY_ROLES)
    assert.equal(allowed(protections, 'the_owner_', caller(['admin'])), 'cr')
    assert.equal(allowed(protections, 'the_owner_id', caller(['member'], ['service'])), 'cr')
    assert.equal(allowed(protections, 'the_owner_', caller([])), 'r')
  })

  it('leave what no section names to nobody', async () => {
    const protections = await open('[^a$]\ncreate=@\nread=@\nupdate=@\ndelete=@\n')
    assert.equal(allowed(protections, 'a', caller([])), 'crud')
    assert.equal(allowed(protections, 'ab', caller(['admin'])), '')
  })

  it('take over what stands in [DEFAULT], and continued lines', async () => {
    const protections = await open(
      '[DEFAULT]\ncreate = admin\nupdate = admin\ndelete = !\n[a]\nread = x,\n  y\n[b]\nread = @\ndelete = @\n',
    )
    assert.equal(allowed(protections, 'a', caller(['y'])), 'r')
    assert.equal(allowed(protections, 'b', caller(['admin'])), 'crud')
  })

  it('allow everything when there is no file', async () => {
    const protections = await openProtections({}, makePolicy())
    assert.ok(!protections.active)
    assert.equal(allowed(protections, 'a', caller([])), 'crud')
  })

  it('stay right however many properties are asked about', async () => {
    const protections = await open(BY_ROLES)
    for (let i = 0; i < 25_000; i++)
      assert.ok(
        protections.allows('read', `any-${i}`, caller([])) &&
          !protections.allows('read', `x_${i}`, caller([])),
      )
  })
})

describe('property protections by policies', () => {
  const text = '[^x_]\ncreate = x_creator\nread = @\nupdate = context_is_admin\ndelete = !\n'

  it('ask rules of the policy, which may be of the operator', async () => {
    await writeFile(inDir('policies.conf'), text)
    await writeFile(inDir('policy.yaml'), 'x_creator: role:smith or role:admin\n')
    const options = { file: inDir('policies.conf'), by: 'policies' } as const
    const policy = await openPolicy({ file: inDir('policy.yaml'), protections: options })
    const protections = await openProtections(options, policy)
    assert.equal(allowed(protections, 'x_1', caller(['smith'])), 'cr')
    assert.equal(allowed(protections, 'x_1', caller(['admin'])), 'cru')
    assert.equal(allowed(protections, 'y', caller(['admin'])), '')
  })

  it('are refused when they name a rule that is not there', async () => {
    await writeFile(inDir('unknown.conf'), text.replace('context_is_admin', 'context_is_admn'))
    await assert.rejects(
      openProtections({ file: inDir('unknown.conf'), by: 'policies' }, makePolicy()),
      (error: Error) => {
        assert.match(error.message, /no rule x_creator/)
        assert.match(error.message, /no rule context_is_admn; did you mean 'context_is_admin'\?/)
        return failsWith('CONFIG_INVALID')(error)
      },
    )
  })
})

describe('a file of property protections', () => {
  it('is refused with all its faults at once, each with its line', () => {
    const text = [
      'stray = 1', // 1
      '[a(]', // 2
      'create = @,!', // 3
      'read = @',
      'update = @',
      'delte = @', // 6
      '[b]', // 7
      '[b]', // 8
      'create = @',
      'create = @', // 10
      'nonsense', // 11
      'read = @',
      'update = @',
      'delete = @',
    ].join('\n')
    assert.throws(
      () => parseProtections(text, 'roles', 'protections.conf'),
      (error: Error) => {
        for (const fault of [
          /line 1: 'stray' stands before the first section/,
          /line 2: \[a\(\] is no pattern/,
          /line 2: \[a\(\] does not say who may delete/,
          /line 3: @ \(anyone\) and ! \(nobody\) cannot stand together/,
          /line 6: no action 'delte'; did you mean 'delete'\?/,
          /line 7: \[b\] does not say who may create/,
          /line 8: there are two sections \[b\]/,
          /line 10: 'create' stands here twice/,
          /line 11: wanted \[section\], or key = value/,
        ])
          assert.match(error.message, fault)
        return failsWith('CONFIG_INVALID')(error)
      },
    )
  })

  it('by policies names one rule for each action', () => {
    const text = '[a]\ncreate = x, y\nread = @\nupdate = @\ndelete = @\n'
    assert.throws(
      () => parseProtections(text, 'policies'),
      /wanted one rule of the policy, found 2/,
    )
  })

  it('may be anything at all: it is read or refused', async () => {
    const {
      array,
      assert: check,
      constantFrom,
      oneof,
      property,
      string,
    } = await import('fast-check')
    const line = oneof(
      string(),
      constantFrom(
        '[a]',
        '[.*]',
        '[(?i)x]',
        'create = @',
        'read: !',
        ' more',
        '# no',
        '',
        '[DEFAULT]',
      ),
    )
    check(
      property(array(line), constantFrom('roles' as const, 'policies' as const), (lines, by) => {
        try {
          parseProtections(lines.join('\n'), by)
        } catch (error) {
          assert.ok(failsWith('CONFIG_INVALID')(error), String(error))
        }
      }),
    )
  })
})
