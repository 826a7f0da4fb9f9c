CREATE TABLE river (id INTEGER PRIMARY KEY, name TEXT NOT NULL, length REAL);
INSERT INTO river VALUES (1, 'Nile', 6650);
SELECT name, length FROM river WHERE length > 1000 ORDER BY length DESC LIMIT 10;
