-- A shop for text_to_sql.py, which asks the view `sales` and the tables under it.
CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE products (product_id INTEGER PRIMARY KEY, product TEXT, category TEXT, price REAL);
CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER, day TEXT);
CREATE TABLE items (order_id INTEGER, product_id INTEGER, quantity INTEGER);

INSERT INTO customers (name, city) VALUES
  ('Ada', 'Bergen'), ('Boris', 'Cork'), ('Chen', 'Delft'), ('Dalia', 'Bergen'), ('Emil', 'Faro'),
  ('Fatou', 'Cork'), ('Goran', 'Graz'), ('Hana', 'Delft'), ('Imre', 'Faro'), ('Jun', 'Bergen');

INSERT INTO products (product, category, price) VALUES
  ('green tea', 'tea', 4.5), ('black tea', 'tea', 3.9), ('mint tea', 'tea', 3.2),
  ('espresso', 'coffee', 7.8), ('filter coffee', 'coffee', 6.4), ('mug', 'ware', 9.0),
  ('teapot', 'ware', 24.0), ('honey', 'food', 5.5), ('biscuits', 'food', 2.8);

-- 60 orders in the first half of 2026, each of one to three products.
INSERT INTO orders
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
  SELECT i, 1 + i * 7 % 10, date('2026-01-01', (i * 3) || ' days') FROM n;
INSERT INTO items
  SELECT order_id, 1 + (order_id * 7 + part * 4) % 9, 1 + (order_id + part) % 4
  FROM orders JOIN (SELECT 0 AS part UNION SELECT 1 UNION SELECT 2) ON part <= order_id % 3;

CREATE VIEW sales AS
  SELECT name, city, day, product, category, price, quantity
  FROM items NATURAL JOIN orders NATURAL JOIN customers NATURAL JOIN products;
