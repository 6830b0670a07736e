// Charts island: loads the chart library only after the page is readable, then
// draws every element that names its data with data-chart. Without the library
// the tables under the charts say the same.
(function () {
  'use strict';
  var slots = document.querySelectorAll('[data-chart],[data-values]');
  if (!slots.length) return;
  var palette = ['#1f5f46', '#c98a2b', '#5a7fa8', '#a3483b', '#7a9a5b', '#6d5a8c', '#3b8f8a', '#b8a13a', '#8c6a4f', '#94a39a'];

  function option(kind, d) {
    var base = { color: palette, textStyle: { fontFamily: 'inherit' }, grid: { left: 8, right: 16, top: 36, bottom: 8, containLabel: true }, tooltip: { trigger: kind === 'pie' ? 'item' : 'axis' }, animationDuration: 300 };
    if (kind === 'pie') {
      base.series = [{ type: 'pie', radius: ['42%', '70%'], label: { formatter: '{b}\n{c} ({d}%)' }, data: d.labels.map(function (l, i) { return { name: l, value: d.series[0].values[i] }; }) }];
      return base;
    }
    var cat = { type: 'category', data: d.labels, axisLabel: { interval: 'auto', hideOverlap: true } };
    var val = { type: 'value', minInterval: 1 };
    if (kind === 'rank') { cat.inverse = true; base.yAxis = cat; base.xAxis = val; base.grid.top = 8; } else { base.xAxis = cat; base.yAxis = val; base.legend = { top: 0, type: 'scroll' }; }
    base.series = d.series.map(function (s) { return { name: s.name, type: kind === 'line' ? 'line' : 'bar', stack: kind === 'stack' ? 'all' : undefined, data: s.values, barMaxWidth: 26 }; });
    return base;
  }

  function show(slot, d) {
    if (!d.labels || !d.labels.length) { slot.textContent = '还没有数据：数据入库后这里会自动出现。'; slot.style.height = 'auto'; return; }
    var chart = window.echarts.getInstanceByDom(slot) || window.echarts.init(slot);
    chart.setOption(option(slot.dataset.kind, d), true);
  }

  // A chart names where its data is (data-chart) or carries it (data-values).
  function draw(slot) {
    if (slot.dataset.values) { show(slot, JSON.parse(slot.dataset.values)); return; }
    fetch(slot.dataset.chart, { headers: { Accept: 'application/json' } }).then(function (r) { return r.json(); }).then(function (d) { show(slot, d); }).catch(function () { slot.textContent = '图表数据暂时取不到，请稍后刷新页面。'; });
  }

  // Every chart can be saved as a picture.
  document.querySelectorAll('[data-png]').forEach(function (b) {
    b.addEventListener('click', function () {
      var slot = b.closest('section').querySelector('[data-values],[data-chart]');
      var chart = slot && window.echarts && window.echarts.getInstanceByDom(slot);
      if (!chart) return;
      var a = document.createElement('a');
      a.href = chart.getDataURL({ type: 'png', pixelRatio: 2, backgroundColor: '#fff' });
      a.download = (b.closest('section').querySelector('h2') || document).textContent.trim() + '.png';
      a.click();
    });
  });

  // A page of current numbers reads itself anew while nobody works on it.
  var fresh = document.querySelector('[data-refresh]');
  if (fresh) setInterval(function () { if (!document.hidden && !(document.activeElement && document.activeElement.form)) location.reload(); }, 1000 * fresh.dataset.refresh);

  function all() { slots.forEach(draw); }
  var script = document.createElement('script');
  script.src = document.currentScript ? document.currentScript.dataset.library : '';
  script.onload = function () {
    all();
    setInterval(function () { slots.forEach(function (s) { if (s.dataset.chart) draw(s); }); }, 30000);
    window.addEventListener('resize', function () { slots.forEach(function (s) { var c = window.echarts.getInstanceByDom(s); if (c) c.resize(); }); });
  };
  script.onerror = function () { slots.forEach(function (s) { s.style.display = 'none'; }); document.querySelectorAll('details.data').forEach(function (d) { d.open = true; }); };
  if (document.readyState === 'complete') document.head.appendChild(script); else window.addEventListener('load', function () { document.head.appendChild(script); });
})();
