#!/usr/bin/env bash
# Builds a Kubernetes control plane for the tests: kube-apiserver, kube-scheduler and
# kube-controller-manager from Debian's source package, and etcd from Debian's binary package.
#
# The result is kept in ${XDG_CACHE_HOME:-~/.cache}/scepsy/kubernetes/VERSION/bin; a second call finds
# it there and ends at once. Debian's packages come from the mirror that this machine's apt uses, and
# nothing is installed. It takes four minutes on two cores, 3 GB of disk while it builds, and 280 MB
# afterwards. Exit code 3: the packages cannot be had here.
set -euo pipefail

version=1.20.2
source_version=1.20.5+really1.20.2-1.1+deb12u1  # Debian's name for the same version
suite=bookworm
etcd_suite=trixie

home=${XDG_CACHE_HOME:-$HOME/.cache}/scepsy/kubernetes/$version
bin=$home/bin
work=$home/build

cannot() {
  echo "scripts/kubernetes/build.sh: $1; the tests on a real control plane will be skipped" >&2
  exit 3
}

mkdir -p "$home"
exec 9>"$home/.lock"
flock 9
[ -x "$bin/kube-controller-manager" ] && exit 0

for program in apt-get dpkg flock tar patch openssl; do
  command -v $program >/dev/null || cannot "$program is not installed"
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || cannot "$keyring is missing: this machine is not Debian"
mirror=$({ sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources
  sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list
} 2>/dev/null | grep -E '/debian/?$' | head -1 || true)
[ -n "$mirror" ] || cannot "no Debian mirror in /etc/apt"
[ "$(df --output=avail -k "$home" | tail -1)" -gt 3500000 ] || cannot "$home has less than 3.5 GB free"

rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/lists/partial "$work"/apt/cache/archives/partial "$work"/{src,root,debs,tmp} \
  "$work"/gopath/src/k8s.io "$work"/bin
cd "$work"

# An apt of our own, so that the machine's sources and package lists stay as they are.
: > apt/status
for one in $suite $etcd_suite; do
  for kind in deb deb-src; do echo "$kind [signed-by=$keyring] $mirror $one main"; done
done > apt/sources.list
apt() {
  apt-get -qq -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
    -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::status="$work/apt/status" -o Acquire::Check-Valid-Until=false \
    -o APT::Sandbox::User=root -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o Acquire::Retries=3 "$@"
}
echo "Building the Kubernetes $version control plane in $home: about four minutes."
apt update || cannot "apt cannot read its package lists"
apt source --download-only kubernetes=$source_version || cannot "the source package cannot be had"
(cd debs && apt download {golang-1.19-go,golang-1.19-src,golang-github-modern-go-reflect2-dev}/$suite \
  etcd-server/$etcd_suite) || cannot "the packages to build with cannot be had"

tar xf kubernetes_*.orig.tar.gz -C src --strip-components=1
tar xf kubernetes_*.debian.tar.xz -C src
(cd src && grep -v -E '^(#|$)' debian/patches/series | while read -r name; do
  patch -s -p1 < "debian/patches/$name"
done)
for package in debs/*.deb; do dpkg -x "$package" root; done

# The vendored reflect2 1.0.1 does not link with Go 1.18 or newer; Debian packages 1.0.2.
reflect2=src/vendor/github.com/modern-go/reflect2
rm -f $reflect2/*.go $reflect2/*.s
cp root/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $reflect2/
rm -f $reflect2/*_test.go

ln -sfn "$work/src" gopath/src/k8s.io/kubernetes
export GOROOT=$work/root/usr/lib/go-1.19 GOPATH=$work/gopath GO111MODULE=off GOCACHE=$work/gocache
export GOFLAGS= GOTOOLCHAIN=local CGO_ENABLED=0 GOTMPDIR=$work/tmp PATH=$work/root/usr/lib/go-1.19/bin:$PATH
cd gopath/src/k8s.io/kubernetes

# The source package leaves out the generated OpenAPI definitions, without which the server does not build.
packages=$(grep -Rl --include=*.go '+k8s:openapi-gen=' \
  $(ls -d vendor/k8s.io/*/ | grep -v -E '/(code-generator|sample-apiserver|kube-openapi|gengo)/') pkg |
  xargs -n1 dirname | LC_ALL=C sort -u | sed 's#//*#/#g; s#^#k8s.io/kubernetes/#' | paste -sd,)
go build -o "$work/tmp/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
"$work/tmp/openapi-gen" -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi \
  -O zz_generated.openapi -h hack/boilerplate/boilerplate.generatego.txt \
  -r "$work/tmp/violations.report" --output-base "$work/gopath/src"

flags="-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1"
flags="$flags -X k8s.io/component-base/version.gitMinor=20"
flags="-s -w $flags ${flags//component-base/kubernetes\/vendor\/k8s.io\/component-base}"
for one in kube-apiserver kube-scheduler kube-controller-manager; do
  go build -p 2 -trimpath -ldflags "$flags" -o "$work/bin/$one" ./cmd/$one
done
cp "$work/root/usr/bin/etcd" "$work/bin/"
chmod -R u+w "$work"
rm -rf "$bin"
mv "$work/bin" "$bin"
echo "Built in $SECONDS s: $bin"
