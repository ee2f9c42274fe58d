import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import type { Caller, Target } from './caller.ts'
import { DEFAULT_RULES } from './default-rules.ts'
import { type GivenRules, makePolicy, openPolicy } from './policy.ts'

const inDir = await tempDir()

function caller(parts: Partial<Caller> = {}): Caller {
  const nobody = { userId: 'u', projectId: 'p', roles: [], serviceRoles: [] }
  return { ...nobody, isAdmin: false, requestId: 'req-1', ...parts }
}

/** Whether this check lets this caller pass. */
function holds(check: unknown, who: Partial<Caller>, target: Target = {}): boolean {
  return makePolicy({ get_image: check }).allows('get_image', caller(who), target)
}

function faultsOf(rules: GivenRules): string {
  let text = ''
  assert.throws(
    () => makePolicy(rules, 'policy.yaml'),
    (error: Error) => {
      text = error.message
      return failsWith('CONFIG_INVALID')(error)
    },
  )
  return text
}

describe('a check', () => {
  it('of a role holds for who has it, in any case', () => {
    assert.ok(holds('role:Member', { roles: ['member'] }))
    assert.ok(!holds('role:member', { roles: ['reader'] }))
    assert.ok(!holds('role:member', { serviceRoles: ['member'] }))
    assert.ok(holds('role:%(wanted)s', { roles: ['boss'] }, { wanted: 'Boss' }))
    assert.ok(!holds('role:%(wanted)s', { roles: ['boss'] }))
  })

  it('of an attribute holds when the target has the same', () => {
    assert.ok(holds('project_id:%(project_id)s', {}, { project_id: 'p' }))
    assert.ok(!holds('project_id:%(project_id)s', {}, { project_id: 'q' }))
    assert.ok(holds('tenant:%(owner)s', {}, { owner: 'p' }))
    assert.ok(holds('token.user.id:%(user.id)s', {}, { user: { id: 'u' } }))
    assert.ok(holds('project_id:p', {}))
    assert.ok(holds('project_id:%(owner)s-x', { projectId: 'p-x' }, { owner: 'p' }))
  })

  it('of what the caller or the target lacks does not hold, not even if both lack it', () => {
    assert.ok(!holds('project_id:%(project_id)s', { projectId: null }, { project_id: null }))
    assert.ok(!holds('project_id:%(project_id)s', { projectId: 'None' }, {}))
    assert.ok(!holds('project_id:%(nothing)s', {}))
    assert.ok(!holds('project_id:%(toString)s', { projectId: String(Object.prototype.toString) }))
    assert.ok(!holds('domain_id:%(a.b.c)s', {}, { a: { b: 'x' } }))
  })

  it('of a list holds when one of it is meant', () => {
    assert.ok(holds('service_roles:service', { serviceRoles: ['x', 'service'] }))
    assert.ok(holds('roles:boss', { roles: ['boss'] }))
    assert.ok(!holds('service_roles:service', { roles: ['service'] }))
  })

  it('compares values as Python prints them', () => {
    assert.ok(holds('is_admin:True', { isAdmin: true }))
    assert.ok(!holds('is_admin:True', { isAdmin: false }))
    assert.ok(holds('is_admin:False', { isAdmin: false }))
    assert.ok(holds('True:%(protected)s', {}, { protected: true }))
    assert.ok(holds('7:%(min_disk)s', {}, { min_disk: 7 }))
    assert.ok(holds('None:%(owner)s', {}, { owner: null }))
    assert.ok(!holds('None:%(owner)s', {}, {}))
  })

  it('finds properties of an image where the image itself has no such attribute', () => {
    const target = { owner: 'p', properties: { os_distro: 'debian', owner: 'q' } }
    assert.ok(holds("'debian':%(os_distro)s", {}, target))
    assert.ok(holds('project_id:%(owner)s', {}, target))
    assert.ok(!holds("'q':%(owner)s", {}, target))
  })

  it('may be of another rule, and of words and parentheses', () => {
    const policy = makePolicy({
      owner: 'project_id:%(owner)s',
      not_protected: 'False:%(protected)s',
      delete_image: 'rule:owner and rule:not_protected or role:boss',
    })
    const may = (who: Partial<Caller>, target: Target) =>
      policy.allows('delete_image', caller(who), target)
    assert.ok(may({}, { owner: 'p', protected: false }))
    assert.ok(!may({}, { owner: 'p', protected: true }))
    assert.ok(may({ roles: ['boss'] }, { owner: 'q', protected: true }))
  })
})

describe('a policy', () => {
  it('has one default for each rule', () => {
    const names = DEFAULT_RULES.map(({ name }) => name)
    assert.deepEqual(names, [...new Set(names)])
  })

  it('has every default rule, and says which are in force', () => {
    const policy = makePolicy({ get_image: [['role:a', 'role:b']] })
    for (const { name, check } of DEFAULT_RULES)
      if (name !== 'get_image') assert.equal(policy.rules.get(name), check)
    assert.equal(policy.rules.get('get_image'), '[["role:a","role:b"]]')
  })

  it('follows a rule that others ask when it is replaced', () => {
    const policy = makePolicy({ context_is_admin: 'role:boss' })
    assert.ok(policy.allows('publicize_image', caller({ roles: ['boss'] })))
    assert.ok(!policy.allows('publicize_image', caller({ roles: ['admin'] })))
  })

  it('is for projects: tokens for a domain or the whole system pass no rule that guards', () => {
    const policy = makePolicy()
    const system = { projectId: null, roles: ['admin', 'reader'], isSystemScoped: true }
    const domain = { projectId: null, roles: ['admin', 'reader'], domainId: 'd' }
    for (const who of [system, domain]) {
      assert.ok(policy.allows('context_is_admin', caller(who)))
      for (const rule of ['get_image', 'get_images', 'tasks_api_access', 'cache_list'])
        assert.ok(!policy.allows(rule, caller(who), { visibility: 'public' }), rule)
    }
  })

  it('knows no rule that is not there', () => {
    assert.throws(() => makePolicy().allows('get_imgae', caller()), /no rule get_imgae/)
  })

  it('refuses a file with all its faults at once, each with its rule and place', () => {
    const text = faultsOf({
      get_imgae: 'role:reader',
      delete_image: 'role:member and',
      modify_image: 'rule:project_ownr or role:admin',
      project_owner: '!',
      trusted: 'rule:project_owner',
      upload_image: 'http://example.org/%(owner)s',
      add_image: 'projct_id:%(owner)s',
      add_member: 7,
    })
    assert.match(text, /^policy.yaml: /)
    assert.match(text, /rule get_imgae: nothing asks it; did you mean 'get_image'\?/)
    assert.match(text, /rule delete_image, character 16: wanted a check, found the end/)
    assert.match(
      text,
      /rule modify_image, character 1: there is no rule project_ownr; did you mean 'project_owner'\?/,
    )
    assert.match(text, /rule upload_image, character 1: http: checks ask another server/)
    assert.match(
      text,
      /rule add_image, character 1: nobody who asks has a 'projct_id'; did you mean 'project_id'\?/,
    )
    assert.match(text, /rule add_member, character 1: wanted a text or a list/)
  })

  it('refuses rules that ask themselves', () => {
    const text = faultsOf({ get_image: 'rule:a', a: 'role:x or rule:b', b: 'not rule:a' })
    assert.match(text, /rule b, character 5: it asks itself: get_image -> a -> b -> a/)
    assert.equal(text.match(/it asks itself/g)?.length, 1)
  })

  it('is read from a file of YAML or JSON', async () => {
    await writeFile(
      inDir('a.yaml'),
      '# mine\nget_image: role:x\n"add_image": [["role:a"], ["role:b"]]\n',
    )
    const policy = await openPolicy({ file: inDir('a.yaml') })
    assert.ok(policy.allows('get_image', caller({ roles: ['x'] })))
    assert.ok(policy.allows('add_image', caller({ roles: ['b'] })))
    await writeFile(inDir('b.json'), '{"get_image": "!"}')
    assert.ok(
      !(await openPolicy({ file: inDir('b.json') })).allows(
        'get_image',
        caller({ roles: ['admin'] }),
      ),
    )
    await writeFile(inDir('empty.yaml'), '# all defaults\n')
    assert.equal((await openPolicy({ file: inDir('empty.yaml') })).rules.size, DEFAULT_RULES.length)
  })

  it('is refused when its file is not there, no YAML, or no mapping', async () => {
    await assert.rejects(openPolicy({ file: inDir('none') }), failsWith('FILE_NOT_FOUND'))
    await writeFile(inDir('bad.yaml'), 'a: [1\nb: }')
    await assert.rejects(openPolicy({ file: inDir('bad.yaml') }), failsWith('CONFIG_INVALID'))
    await writeFile(inDir('list.yaml'), '- a\n')
    await assert.rejects(openPolicy({ file: inDir('list.yaml') }), failsWith('CONFIG_INVALID'))
  })
})
