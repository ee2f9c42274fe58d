/** The small network service. Source: the Networking API v2.0 reference. */
import { randomUUID } from 'node:crypto'
import {
  demand,
  type FakeState,
  jsonIn,
  pageOf,
  Refusal,
  type Route,
} from './_fake-openstack-state.ts'

function at(path: string): RegExp {
  return new RegExp(`^/network/v2\\.0/${path}$`)
}

export function neutronRoutes(state: FakeState): Route[] {
  const { ports, groups, floatingIps, networks } = state
  const list = (path: string, key: string, all: () => readonly object[]): Route => ({
    method: 'GET',
    path: at(path),
    answer: (asked) => {
      const fits = (one: object) => {
        const fields = { ...one } as Readonly<Record<string, unknown>>
        const wanted = [...asked.query].filter(([name]) => name !== 'marker')
        return wanted.every(([name, value]) => fields[name] === value)
      }
      return pageOf(state, asked, key, all().filter(fits))
    },
  })
  const remove = (path: string, all: Map<string, unknown>, check = (_id: string) => {}): Route => ({
    method: 'DELETE',
    path: at(`${path}/([^/]+)`),
    answer: (_, [id = '']) => {
      demand(all, id, path)
      check(id)
      all.delete(id)
      return { status: 204 }
    },
  })
  return [
    list('networks', 'networks', () =>
      networks.map(({ external, ...one }) => ({ ...one, 'router:external': external })),
    ),
    list('ports', 'ports', () => [...ports.values()]),
    list('security-groups', 'security_groups', () => [
      { id: 'default', name: 'default', description: 'Default security group' },
      ...groups.values(),
    ]),
    list('floatingips', 'floatingips', () => [...floatingIps.values()]),
    {
      method: 'POST',
      path: at('ports'),
      answer: (asked) => {
        const given = jsonIn(asked, 'port', [
          'name',
          'network_id',
          'description',
          'security_groups',
        ])
        if (!networks.some(({ id }) => id === given['network_id']))
          throw new Refusal(404, 'Network could not be found.')
        const wanted = (given['security_groups'] ?? ['default']) as string[]
        for (const id of wanted) if (id !== 'default') demand(groups, id, 'Security group')
        const port = {
          id: randomUUID(),
          name: String(given['name']),
          network_id: String(given['network_id']),
          description: String(given['description']),
          security_groups: wanted,
          fixed_ips: [{ ip_address: state.address, subnet_id: 'subnet' }],
        }
        ports.set(port.id, port)
        return { status: 201, json: { port } }
      },
    },
    {
      method: 'POST',
      path: at('security-groups'),
      answer: (asked) => {
        const { name, description } = jsonIn(asked, 'security_group', ['name', 'description'])
        const group = {
          id: randomUUID(),
          name: String(name),
          description: String(description),
          rules: [],
        }
        groups.set(group.id, group)
        return { status: 201, json: { security_group: group } }
      },
    },
    {
      method: 'POST',
      path: at('security-group-rules'),
      answer: (asked) => {
        const keys = [
          'security_group_id',
          'direction',
          'protocol',
          'port_range_min',
          'port_range_max',
          'ethertype',
        ]
        const rule = jsonIn(asked, 'security_group_rule', keys)
        const { rules } = demand(groups, rule['security_group_id'], 'Security group')
        const text = JSON.stringify(rule)
        if (rules.includes(text)) throw new Refusal(409, 'Security group rule already exists.')
        rules.push(text)
        return { status: 201, json: { security_group_rule: { id: randomUUID(), ...rule } } }
      },
    },
    {
      method: 'POST',
      path: at('floatingips'),
      answer: (asked) => {
        const given = jsonIn(asked, 'floatingip', ['floating_network_id', 'port_id', 'description'])
        const network = networks.find(({ id }) => id === given['floating_network_id'])
        if (!network?.external) throw new Refusal(404, 'Network is not external.')
        demand(ports, given['port_id'], 'Port')
        const floating = {
          id: randomUUID(),
          floating_ip_address: state.address,
          description: String(given['description']),
          port_id: String(given['port_id']),
        }
        floatingIps.set(floating.id, floating)
        return { status: 201, json: { floatingip: floating } }
      },
    },
    remove('ports', ports, (id) => {
      if ([...state.servers.values()].some(({ portIds }) => portIds.includes(id)))
        throw new Refusal(409, 'Port is in use.')
    }),
    remove('security-groups', groups, (id) => {
      if ([...ports.values()].some(({ security_groups: used }) => used.includes(id)))
        throw new Refusal(409, 'Security group is in use.')
    }),
    remove('floatingips', floatingIps),
  ]
}
