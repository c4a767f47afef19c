// Checks what `kubectl kustomize` makes of docker/kubernetes, without a cluster.
//   check.js OPTIONS FILE...      OPTIONS: what `convserve --help` prints
//
// Every document becomes a TypeScript constant of its type, so that the compiler finds wrong types and fields that do not
// exist. What types do not say is checked here: names, labels and ports that must fit together, times, hardening.
'use strict';
const fs = require('fs');
const path = require('path');
const yaml = require('js-yaml');
const ts = require('typescript');

const MODULES = {
  'v1': 'kubernetes-models/v1',
  'apps/v1': 'kubernetes-models/apps/v1',
  'autoscaling/v2': 'kubernetes-models/autoscaling/v2',
  'policy/v1': 'kubernetes-models/policy/v1',
  'networking.k8s.io/v1': 'kubernetes-models/networking.k8s.io/v1',
  'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
};

let failures = 0;
function expect(good, what) {
  if (good) return;
  failures += 1;
  console.error('check: ' + what);
}

function source(documents) {
  const lines = documents.map((document, i) =>
    `import {I${document.kind} as T${i}} from '${MODULES[document.apiVersion]}';\n` +
    `export const m${i}: T${i} = ${JSON.stringify(document, null, 1)};`);
  // The check itself: it must find a field that does not exist, and a type that does not fit.
  const deployment = "{apiVersion: 'apps/v1', kind: 'Deployment', ";
  return lines.join('\n') + "\nimport {IDeployment} from 'kubernetes-models/apps/v1';\n" +
    '// @ts-expect-error\n' +
    `export const field: IDeployment = ${deployment} metadata: {}, specification: {}};\n` +
    '// @ts-expect-error\n' +
    `export const type: IDeployment = ${deployment} metadata: {name: 3}};\n`;
}

function checkTypes(file, documents) {
  const name = path.resolve(path.basename(file, '.yaml') + '.ts');
  fs.writeFileSync(name, source(documents));
  const program = ts.createProgram([name], {
    strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10,
  });
  for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
    const {line} = diagnostic.file
      ? diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start) : {line: 0};
    expect(false, `${name}:${line + 1}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')}`);
  }
}

const covers = (labels, selector) => Object.entries(selector).every(([key, value]) => labels[key] === value);
const seconds = (text) => Number(/^(\d+)s?$/.exec(text)[1]);

function checkSense(documents, options) {
  const all = (kind) => documents.filter((document) => document.kind === kind);
  const one = (kind) => {
    expect(all(kind).length === 1, `expected one ${kind}, got ${all(kind).length}`);
    return all(kind)[0].spec;
  };
  const deployment = all('Deployment')[0];
  const {labels} = deployment.spec.template.metadata;
  const pod = deployment.spec.template.spec;
  const container = pod.containers[0];
  const ports = new Map(container.ports.map((port) => [port.name, port.containerPort]));

  expect(covers(labels, deployment.spec.selector.matchLabels), 'the Deployment does not select its pods');
  expect(all('Service').length === 2, 'expected two Services');
  for (const {metadata, spec} of all('Service')) {
    expect(covers(labels, spec.selector), `Service ${metadata.name} does not select the pods`);
    for (const port of spec.ports) {
      expect(ports.get(port.targetPort) === port.port, `Service ${metadata.name}: no port ${port.targetPort} ${port.port}`);
    }
  }
  const monitor = one('ServiceMonitor');
  const scraped = all('Service').filter(({metadata}) => covers(metadata.labels, monitor.selector.matchLabels));
  expect(scraped.length === 1 && scraped[0].metadata.labels[monitor.jobLabel] === 'convserve',
    'the ServiceMonitor must find one Service, as job convserve');
  expect(monitor.endpoints.every(({port}) => scraped[0].spec.ports.some(({name}) => name === port)),
    'the ServiceMonitor names a port that its Service does not have');
  expect(one('HorizontalPodAutoscaler').scaleTargetRef.name === deployment.metadata.name, 'the autoscaler scales something else');
  expect(covers(labels, one('PodDisruptionBudget').selector.matchLabels), 'the disruption budget is for other pods');
  const policy = one('NetworkPolicy');
  expect(covers(labels, policy.podSelector.matchLabels), 'the NetworkPolicy is for other pods');
  const open = policy.ingress.flatMap((rule) => rule.ports.map(({port}) => port));
  expect(JSON.stringify(open.sort()) === JSON.stringify([...ports.values()].sort()), `the NetworkPolicy opens ${open}`);

  const settings = new Map(container.env.map(({name, value}) => [name, value]));
  for (const name of settings.keys()) {
    const option = '--' + name.replace(/^CONV(SERVE|CTL)_/, '').toLowerCase().replace(/_/g, '-');
    expect(name.startsWith('CONVCTL_') || options.includes(`${option} `), `${name}: convserve has no option ${option}`);
  }
  const drain = seconds(settings.get('CONVSERVE_DRAIN_WAIT')) + seconds(settings.get('CONVSERVE_DRAIN_SECONDS'));
  expect(pod.terminationGracePeriodSeconds > drain, 'the grace period is shorter than the drain');

  const tls = settings.has('CONVSERVE_TLS_CERT');
  for (const probe of [container.startupProbe, container.readinessProbe]) {
    expect(tls ? probe.exec && !probe.grpc : probe.grpc && probe.grpc.port === ports.get('grpc') && !probe.exec,
      'probes speak gRPC in plaintext, and by convctl under TLS');
  }
  if (tls) {
    expect(settings.has('CONVCTL_TLS_CA'), 'convctl needs the authorities of the certificate');
    expect(container.volumeMounts.every(({name}) => pod.volumes.some((volume) => volume.name === name)),
      'a volume is mounted that does not exist');
  }
  expect(pod.securityContext.runAsNonRoot && container.securityContext.readOnlyRootFilesystem &&
    !container.securityContext.allowPrivilegeEscalation && container.securityContext.capabilities.drop.includes('ALL'),
    'the container is not hardened');
}

const [optionsFile, ...files] = process.argv.slice(2);
const options = fs.readFileSync(optionsFile, 'utf8');
for (const file of files) {
  const documents = yaml.loadAll(fs.readFileSync(file, 'utf8'));
  for (const {apiVersion, kind} of documents) expect(MODULES[apiVersion], `no types for ${apiVersion} ${kind}`);
  checkTypes(file, documents);
  checkSense(documents, options);
  console.log(`${file}: ${documents.map(({kind}) => kind).join(', ')}`);
}
process.exit(failures ? 1 : 0);
